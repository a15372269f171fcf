// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/control_server.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "runtime/control/explain_json.h"
#include "runtime/control/http.h"
#include "runtime/fd.h"

namespace trap {

struct ControlServer::Running {
  std::string path;
  HttpThread server;

  ~Running() { unlink(path.c_str()); }
};

namespace {

constexpr std::size_t kFrameMaxBytes = 65536 + 64; // the largest IP packet, and its link layer

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
    return Error{fmt::format("cannot make directory {} for the control socket: {}", directory,
                             failed.message())};
  struct stat info;
  if (lstat(path.c_str(), &info) != 0)
    return {};
  if (!S_ISSOCK(info.st_mode))
    return Error{fmt::format(
        "control socket {}: something else is there: remove it, or name another control_socket",
        path)};
  if (somebody_listens(path))
    return Error{fmt::format(
        "control socket {} is in use by another daemon: stop it, or name another control_socket",
        path)};
  unlink(path.c_str());
  return {};
}

// "/backends/web/203.0.113.10:80" in words; the library has decoded it already.
std::vector<std::string> words_of(const std::string& path) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at != std::string::npos;) {
    std::size_t end = path.find('/', ++at);
    words.push_back(path.substr(at, end == std::string::npos ? end : end - at));
    at = end;
  }
  return words;
}

int http_status_of(ExitCode code) {
  return code == ExitCode::usage ? 400 : code == ExitCode::not_running ? 404 : 500;
}

void answer(httplib::Response& response, const Result<std::string>& json) {
  if (!json)
    response.status = http_status_of(json.error().exit_code);
  response.set_content((json ? *json : nlohmann::json{{"error", json.error().message}}.dump()) +
                           "\n",
                       "application/json");
}

void route(httplib::Server& http, ControlHandlers handlers) {
  http.Get("/status", [status = std::move(handlers.status)](const httplib::Request&,
                                                            httplib::Response& response) {
    response.set_content(status(), "application/json");
  });
  http.Get("/metrics", [metrics = std::move(handlers.metrics)](const httplib::Request&,
                                                               httplib::Response& response) {
    response.set_content(metrics(), kMetricsType);
  });
  http.Post("/reload", [reload = std::move(handlers.reload)](const httplib::Request&,
                                                             httplib::Response& response) {
    auto line = reload();
    answer(response, line ? Result<std::string>(nlohmann::json{{"reloaded", *line}}.dump()) : line);
  });
  http.set_payload_max_length(kFrameMaxBytes);
  http.Post("/explain", [explain = std::move(handlers.explain)](const httplib::Request& request,
                                                                httplib::Response& response) {
    answer(response, explain({request.get_param_value("direction") == "out",
                              {request.body.begin(), request.body.end()}}));
  });
  http.Post("/.+", [command = std::move(handlers.command)](const httplib::Request& request,
                                                           httplib::Response& response) {
    answer(response, command(words_of(request.path)));
  });
}

} // namespace

ControlServer::ControlServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
ControlServer::ControlServer(ControlServer&&) noexcept = default;
ControlServer& ControlServer::operator=(ControlServer&&) noexcept = default;
ControlServer::~ControlServer() = default;

Result<ControlServer> ControlServer::make(const std::string& path, ControlHandlers handlers) {
  if (auto room = make_room(path); !room)
    return room.error();
  auto running = std::make_unique<Running>();
  httplib::Server& http = running->server.http;
  http.set_address_family(AF_UNIX);
  route(http, std::move(handlers));
  mode_t earlier = umask(0177);
  bool bound = http.bind_to_port(path, 1); // the port has no meaning for a Unix socket
  umask(earlier);
  if (!bound)
    return Error{fmt::format("cannot listen at control socket {}: {}", path, error_text(errno))};
  running->path = path;
  running->server.run();
  return ControlServer(std::move(running));
}

} // namespace trap
