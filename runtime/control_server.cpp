// SPDX-License-Identifier: Apache-2.0
#include "runtime/control_server.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <fmt/core.h>
#include <httplib.h>

#include "runtime/fd.h"

namespace trap {

struct ControlServer::Running {
  httplib::Server http;
  std::string path;
  std::thread thread;

  ~Running() {
    if (thread.joinable()) {
      http.stop();
      thread.join();
    }
    unlink(path.c_str());
  }
};

namespace {

// Does a process answer at this socket?
bool somebody_listens(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return fd && connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

Result<void> make_room(const std::string& path) {
  std::string directory = std::filesystem::path(path).parent_path();
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed)
    return Error{fmt::format("cannot make directory {} for the control socket: {}", directory, failed.message())};
  struct stat info;
  if (lstat(path.c_str(), &info) != 0)
    return {};
  if (!S_ISSOCK(info.st_mode))
    return Error{fmt::format("control socket {}: something else is there: remove it, or name another control_socket", path)};
  if (somebody_listens(path))
    return Error{fmt::format("control socket {} is in use by another daemon: stop it, or name another control_socket", path)};
  unlink(path.c_str());
  return {};
}

} // namespace

ControlServer::ControlServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
ControlServer::ControlServer(ControlServer&&) noexcept = default;
ControlServer& ControlServer::operator=(ControlServer&&) noexcept = default;
ControlServer::~ControlServer() = default;

Result<ControlServer> ControlServer::make(const std::string& path, std::function<std::string()> status) {
  if (auto room = make_room(path); !room)
    return room.error();
  auto running = std::make_unique<Running>();
  httplib::Server& http = running->http;
  http.set_address_family(AF_UNIX);
  http.new_task_queue = [] { return new httplib::ThreadPool(1); };
  http.set_read_timeout(1);
  http.set_write_timeout(1);
  http.set_keep_alive_max_count(1);
  http.set_payload_max_length(1024);
  http.Get("/status", [status = std::move(status)](const httplib::Request&, httplib::Response& response) {
    response.set_content(status(), "application/json");
  });
  mode_t earlier = umask(0177);
  bool bound = http.bind_to_port(path, 1); // the port has no meaning for a Unix socket
  umask(earlier);
  if (!bound)
    return Error{fmt::format("cannot listen at control socket {}: {}", path, error_text(errno))};
  running->path = path;
  running->thread = std::thread([&http] { http.listen_after_bind(); });
  while (!http.is_running()) // stop() before that would be lost, and the thread never end
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return ControlServer(std::move(running));
}

} // namespace trap
