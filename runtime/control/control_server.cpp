// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/control_server.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "runtime/control/control_access.h"
#include "runtime/control/explain_json.h"
#include "runtime/control/shared_answers.h"
#include "runtime/fd.h"
#include "runtime/json_text.h"
#include "runtime/log.h"

namespace trap {

struct ControlServer::Running {
  Running(std::string path_of_socket, HttpServer running)
      : path(std::move(path_of_socket)), server(std::move(running)) {
    lstat(path.c_str(), &made);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (reason_of_loss().empty())
      unlink(path.c_str());
  }

  // Empty while what lies at the path is this socket.
  std::string reason_of_loss() const;

  void share_with(const std::string& name);

  std::string path;
  struct stat made = {}; // the socket when it was made
  std::string group_name;
  std::optional<gid_t> group;
  std::string problem; // that the start found and nothing mends
  HttpServer server;
};

std::string ControlServer::Running::reason_of_loss() const {
  struct stat now;
  if (lstat(path.c_str(), &now) != 0)
    return fmt::format("control socket {} is gone: {}: nothing reaches this daemon there: restart "
                       "it, which loses nothing",
                       path, error_text(errno));
  if (now.st_dev != made.st_dev || now.st_ino != made.st_ino)
    return fmt::format("control socket {} is not this daemon's any more: something else is there: "
                       "see what made it, and restart this daemon, which loses nothing",
                       path);
  return "";
}

void ControlServer::Running::share_with(const std::string& name) {
  auto found = find_group(name);
  if (!found) {
    problem = found.error().message + "; until the next start the control socket is root's alone";
    return;
  }
  group_name = name;
  group = *found;
  if (auto opened = open_to_group(path, *group); !opened)
    log::debug("{}", opened.error().message); // the unit does it, or problem() tells
}

namespace {

constexpr std::size_t frame_max_bytes = 65536 + 64; // the largest IP packet, and its link layer

// Does a process answer at this socket?
bool somebody_listens(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return fd && connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

// Held while a socket is looked for, removed and made: of two daemons that start at once, the
// second finds the first's. Whoever may look into the directory can hold the lock as well, and
// delays a start by no more than this.
Fd lock_room(const std::string& directory) {
  constexpr int tries = 100;
  constexpr std::chrono::milliseconds between{10};
  Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; fd && i < tries && flock(fd.get(), LOCK_EX | LOCK_NB) != 0; i++)
    std::this_thread::sleep_for(between);
  return fd;
}

// A directory that is made here is one that a group may go through, as systemd's RuntimeDirectory.
Result<void> make_directory(const std::string& directory) {
  constexpr mode_t everyone_goes_through = 0755;
  std::error_code failed;
  const bool is_new = std::filesystem::create_directories(directory, failed);
  if (failed)
    return Error{fmt::format("cannot make directory {} for the control socket: {}", directory,
                             failed.message())};
  if (is_new)
    chmod(directory.c_str(), everyone_goes_through);
  return {};
}

Result<void> make_room(const std::string& path) {
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
  if (unlink(path.c_str()) != 0)
    return Error{fmt::format("cannot remove the control socket {} of an earlier run: {}", path,
                             error_text(errno))};
  return {};
}

// "/backends/web/203.0.113.10:80" in words.
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

HttpAnswer json_answer(const Result<std::string>& json) {
  if (json)
    return {200, json_type, *json + "\n"};
  return {http_status_of(json.error().exit_code), json_type,
          json_text(nlohmann::json{{"error", json.error().message}}) + "\n"};
}

HttpAnswer answer_get(const ControlHandlers& handlers, const HttpRequest& request) {
  if (request.path == "/status")
    return {200, json_type, handlers.status()};
  if (request.path == "/metrics")
    return answer_metrics(handlers.metrics(), request);
  if (request.path == "/ready" || request.path.starts_with("/ready/"))
    return answer_ready(handlers.ready, request);
  return text_answer(404, "nothing is here: changes are asked for by POST");
}

HttpAnswer answer_post(const ControlHandlers& handlers, const HttpRequest& request) {
  if (request.path == "/reload") {
    auto line = handlers.reload();
    return json_answer(line ? json_text(nlohmann::json{{"reloaded", *line}}) : line);
  }
  if (request.path == "/explain") {
    auto explained = handlers.explain(
        {request.query == "direction=out", {request.body.begin(), request.body.end()}});
    return json_answer(explained && !is_from_root(request) ? without_secrets(*explained)
                                                           : explained);
  }
  if (request.path == "/")
    return text_answer(404, "nothing is here");
  return json_answer(handlers.command(words_of(request.path)));
}

HttpAnswer answer(const ControlHandlers& handlers, const HttpRequest& request) {
  if (is_for_root_alone(request) && !is_from_root(request))
    return refuse_to_user(request);
  if (request.method == "GET" || request.method == "HEAD")
    return answer_get(handlers, request);
  if (request.method == "POST")
    return answer_post(handlers, request);
  HttpAnswer refusal = text_answer(405, "this method is not taken");
  refusal.allow = "GET, HEAD, POST";
  return refusal;
}

// Mode 0600 from the start; open_to_group() comes later.
Result<Fd> listen_at(const std::string& path) {
  const auto failed = [&] {
    return Error{fmt::format("cannot listen at control socket {}: {}", path, error_text(errno))};
  };
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    return failed();
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd)
    return failed();
  const mode_t earlier = umask(0177);
  const bool bound =
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  umask(earlier);
  if (!bound || listen(fd.get(), SOMAXCONN) != 0)
    return failed();
  return fd;
}

} // namespace

ControlServer::ControlServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
ControlServer::ControlServer(ControlServer&&) noexcept = default;
ControlServer& ControlServer::operator=(ControlServer&&) noexcept = default;
ControlServer::~ControlServer() = default;

std::string ControlServer::problem() const {
  if (std::string lost = running_->reason_of_loss(); !lost.empty())
    return lost;
  if (!running_->problem.empty() || !running_->group)
    return running_->problem;
  return reason_of_shut_socket(running_->path, running_->group_name, *running_->group);
}

Result<ControlServer> ControlServer::make(const std::string& path, const std::string& group,
                                          ControlHandlers handlers) {
  const std::string directory = std::filesystem::path(path).parent_path();
  if (auto made = make_directory(directory); !made)
    return made.error();
  const Fd locked = lock_room(directory);
  if (auto room = make_room(path); !room)
    return room.error();
  auto listener = listen_at(path);
  if (!listener)
    return listener.error();
  auto server = HttpServer::make(std::move(*listener), {.body_bytes = frame_max_bytes},
                                 [handlers = std::move(handlers)](const HttpRequest& request) {
                                   return answer(handlers, request);
                                 });
  if (!server) {
    unlink(path.c_str());
    return Error{fmt::format("control socket {}: {}", path, server.error().message)};
  }
  ControlServer made(std::make_unique<Running>(path, std::move(*server)));
  if (!group.empty())
    made.running_->share_with(group);
  return made;
}

} // namespace trap
