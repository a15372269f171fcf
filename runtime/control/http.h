// SPDX-License-Identifier: Apache-2.0
// The HTTP library, as the control socket and the metrics listener use it. Included by their .cpp
// files only: it is slow to compile.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include <httplib.h>

namespace trap {

// One request after the other in the thread that accepts: others wait in the kernel's short
// backlog, not in our memory.
class OneByOne final : public httplib::TaskQueue {
public:
  void enqueue(std::function<void()> request) override { request(); }
  void shutdown() override {}
};

// A server that is bound, and the thread it runs in.
class HttpThread {
public:
  HttpThread() {
    http.new_task_queue = [] { return new OneByOne; };
    http.set_read_timeout(1);
    http.set_write_timeout(1);
    http.set_keep_alive_max_count(1);
    http.set_payload_max_length(1024);
  }
  HttpThread(const HttpThread&) = delete;
  HttpThread& operator=(const HttpThread&) = delete;
  ~HttpThread() {
    if (!thread_.joinable())
      return;
    http.stop();
    thread_.join();
  }

  void run() {
    thread_ = std::thread([this] { http.listen_after_bind(); });
    while (!http.is_running()) // stop() before that would be lost, and the thread never end
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  httplib::Server http;

private:
  std::thread thread_;
};

constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

} // namespace trap
