// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/http_server.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <list>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <fmt/core.h>

#include "runtime/log.h"

namespace trap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t read_bytes = 16384;
constexpr std::size_t discard_max_bytes = 1 << 20;
constexpr auto pause = std::chrono::milliseconds(100); // while the kernel has no room

const char* reason_of(int status) {
  switch (status) {
  case 200:
    return "OK";
  case 400:
    return "Bad Request";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 413:
    return "Content Too Large";
  case 431:
    return "Request Header Fields Too Large";
  case 501:
    return "Not Implemented";
  case 503:
    return "Service Unavailable";
  default:
    return "Internal Server Error";
  }
}

std::string bytes_of(const HttpAnswer& answer, bool with_body) {
  return fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}"
                     "Connection: close\r\n\r\n{}",
                     answer.status, reason_of(answer.status), answer.type, answer.body.size(),
                     answer.allow.empty() ? "" : "Allow: " + answer.allow + "\r\n",
                     with_body ? answer.body : "");
}

// Nothing of a TCP socket, whose peer is no process of this host's.
std::optional<unsigned> user_of_peer(const Fd& fd) {
  int domain = 0;
  ucred peer = {};
  socklen_t domain_bytes = sizeof(domain), peer_bytes = sizeof(peer);
  if (getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &domain_bytes) != 0 ||
      domain != AF_UNIX || getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) != 0)
    return std::nullopt;
  return peer.uid;
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

struct Client {
  enum class Stage { asks, is_answered, leaves };

  Fd fd;
  std::optional<unsigned> peer_uid = {};
  Clock::time_point until = {};
  Stage stage = Stage::asks;
  std::string in = {};
  std::string out = {};
  std::size_t sent = 0;
  std::size_t discarded = 0;
};

} // namespace

HttpAnswer text_answer(int status, const std::string& line) {
  return {status, "text/plain; charset=utf-8", line + "\n"};
}

struct HttpServer::Running {
  Fd listener;
  Fd stop;
  HttpLimits limits;
  std::function<HttpAnswer(const HttpRequest&)> handler;
  std::list<Client> clients; // the oldest first
  Clock::time_point accepts_from;
  bool is_out_of_descriptors = false;
  bool cannot_wait = false;
  std::thread thread;

  ~Running();
  void run();
  int wait_ms() const;
  void serve(Client& client);
  void read_request(Client& client);
  HttpAnswer ask_handler(const HttpRequest& request);
  void answer(Client& client, const HttpAnswer& with, bool with_body);
  void send_more(Client& client);
  void discard(Client& client);
  void make_room();
  void accept_clients();
};

HttpServer::Running::~Running() {
  if (!thread.joinable())
    return;
  eventfd_write(stop.get(), 1);
  thread.join();
}

// Until the first client has had its time, or for ever.
int HttpServer::Running::wait_ms() const {
  auto until = Clock::time_point::max();
  for (const Client& client : clients)
    until = std::min(until, client.until);
  const auto now = Clock::now();
  if (accepts_from > now)
    until = std::min(until, accepts_from);
  if (until == Clock::time_point::max())
    return -1;
  return static_cast<int>(
      std::max<long>(0, std::chrono::ceil<std::chrono::milliseconds>(until - now).count()));
}

void HttpServer::Running::run() {
  std::vector<pollfd> wanted;
  for (;;) {
    wanted.clear();
    wanted.push_back({stop.get(), POLLIN, 0});
    const bool accepts = Clock::now() >= accepts_from;
    wanted.push_back({accepts ? listener.get() : -1, POLLIN, 0});
    for (const Client& client : clients)
      wanted.push_back(
          {client.fd.get(),
           static_cast<short>(client.stage == Client::Stage::is_answered ? POLLOUT : POLLIN), 0});
    if (poll(wanted.data(), wanted.size(), wait_ms()) < 0) {
      if (errno != EINTR && !cannot_wait)
        log::error("HTTP: cannot wait for requests, tries again: {}", error_text(errno));
      cannot_wait = cannot_wait || errno != EINTR;
      std::this_thread::sleep_for(pause);
      eventfd_t stops;
      if (eventfd_read(stop.get(), &stops) == 0)
        return;
      continue;
    }
    cannot_wait = false;
    if (wanted[0].revents)
      return;
    // Requests that came in time are answered before anything expires: a handler may have taken
    // long.
    std::size_t at = 2;
    for (Client& client : clients)
      if (wanted[at++].revents)
        serve(client);
    const auto now = Clock::now();
    std::erase_if(clients, [&](const Client& client) { return !client.fd || client.until <= now; });
    if (wanted[1].revents)
      accept_clients();
  }
}

void HttpServer::Running::serve(Client& client) {
  switch (client.stage) {
  case Client::Stage::asks:
    read_request(client);
    break;
  case Client::Stage::is_answered:
    send_more(client);
    break;
  case Client::Stage::leaves:
    discard(client);
    break;
  }
}

void HttpServer::Running::read_request(Client& client) {
  char bytes[read_bytes];
  HttpReading reading;
  while (reading.state == HttpReading::State::wants_more) {
    const ssize_t got = recv(client.fd.get(), bytes, sizeof(bytes), 0);
    if (got <= 0) {
      if (got == 0 || !would_block())
        client.fd.reset();
      return;
    }
    client.in.append(bytes, static_cast<std::size_t>(got));
    reading = read_http_request(client.in, limits);
  }
  client.in = {};
  if (reading.state == HttpReading::State::refused)
    return answer(client, text_answer(reading.status, reading.line), true);
  reading.request.peer_uid = client.peer_uid;
  answer(client, ask_handler(reading.request), reading.request.method != "HEAD");
}

// A request must not end the daemon.
HttpAnswer HttpServer::Running::ask_handler(const HttpRequest& request) {
  try {
    return handler(request);
  } catch (const std::exception& failed) {
    return text_answer(500, failed.what());
  }
}

void HttpServer::Running::answer(Client& client, const HttpAnswer& with, bool with_body) {
  client.out = bytes_of(with, with_body);
  client.stage = Client::Stage::is_answered;
  client.until = Clock::now() + std::chrono::milliseconds(limits.answer_ms);
  send_more(client);
}

void HttpServer::Running::send_more(Client& client) {
  const ssize_t went = send(client.fd.get(), client.out.data() + client.sent,
                            client.out.size() - client.sent, MSG_NOSIGNAL);
  if (went < 0) {
    if (!would_block())
      client.fd.reset();
    return;
  }
  client.sent += static_cast<std::size_t>(went);
  if (client.sent < client.out.size())
    return;
  // To close with bytes unread would reset the connection, and the client might lose the answer.
  shutdown(client.fd.get(), SHUT_WR);
  client.out = {};
  client.stage = Client::Stage::leaves;
  client.until = Clock::now() + std::chrono::milliseconds(limits.request_ms);
}

void HttpServer::Running::discard(Client& client) {
  char bytes[read_bytes];
  const ssize_t got = recv(client.fd.get(), bytes, sizeof(bytes), 0);
  if (got < 0 && would_block())
    return;
  client.discarded += got > 0 ? static_cast<std::size_t>(got) : 0;
  if (got <= 0 || client.discarded > discard_max_bytes)
    client.fd.reset();
}

// Honest clients ask at once: the client that has kept the server waiting longest goes first, but
// none of root's for another user's.
void HttpServer::Running::make_room() {
  const auto waits_of = [](bool roots_too) {
    return [roots_too](const Client& client) {
      return client.stage != Client::Stage::is_answered && (roots_too || client.peer_uid != 0U);
    };
  };
  auto oldest = std::ranges::find_if(clients, waits_of(false));
  if (oldest == clients.end())
    oldest = std::ranges::find_if(clients, waits_of(true));
  clients.erase(oldest == clients.end() ? clients.begin() : oldest);
}

void HttpServer::Running::accept_clients() {
  for (std::size_t i = 0; i < limits.clients; i++) { // then the others have a turn
    Fd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
      if (!is_out_of_descriptors)
        log::warn("HTTP: cannot accept a client: {}: raise LimitNOFILE", error_text(errno));
      is_out_of_descriptors = true;
      accepts_from = Clock::now() + pause;
      return;
    }
    if (!fd)
      return;
    is_out_of_descriptors = false;
    if (clients.size() >= limits.clients)
      make_room();
    const std::optional<unsigned> peer_uid = user_of_peer(fd);
    clients.push_back({.fd = std::move(fd),
                       .peer_uid = peer_uid,
                       .until = Clock::now() + std::chrono::milliseconds(limits.request_ms)});
    serve(clients.back());
  }
}

HttpServer::HttpServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
HttpServer::HttpServer(HttpServer&&) noexcept = default;
HttpServer& HttpServer::operator=(HttpServer&&) noexcept = default;
HttpServer::~HttpServer() = default;

Result<HttpServer> HttpServer::make(Fd listener, HttpLimits limits,
                                    std::function<HttpAnswer(const HttpRequest&)> handler) {
  auto running = std::make_unique<Running>();
  running->listener = std::move(listener);
  running->stop = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!running->stop)
    return Error{fmt::format("cannot make a descriptor to stop by: {}", error_text(errno))};
  running->limits = limits;
  running->handler = std::move(handler);
  try {
    running->thread = std::thread([at = running.get()] { at->run(); });
  } catch (const std::system_error& failed) {
    return Error{fmt::format("cannot make a thread to answer requests: {}: raise TasksMax",
                             failed.code().message())};
  }
  return HttpServer(std::move(running));
}

} // namespace trap
