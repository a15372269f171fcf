// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/repair.h"

#include <cerrno>
#include <cstdint>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <fmt/format.h>

namespace trap::lab {
namespace {

constexpr std::uint32_t option_mss = 2, option_window_scale = 3, option_sack = 4,
                        option_timestamps = 8;

Error cannot(const char* do_what) {
  return Error{fmt::format("cannot {} a connection (TCP_REPAIR): {}", do_what, error_text(errno))};
}

bool set(int fd, int name, int value) {
  return setsockopt(fd, IPPROTO_TCP, name, &value, sizeof value) == 0;
}

template <typename T> bool get(int fd, int name, T& value) {
  socklen_t length = sizeof value;
  return getsockopt(fd, IPPROTO_TCP, name, &value, &length) == 0;
}

struct Checkpoint {
  sockaddr_storage local{}, peer{};
  socklen_t length = sizeof(sockaddr_storage);
  std::uint32_t heard = 0, sent = 0; // sequence numbers
  std::uint32_t timestamp = 0, mss = 0;
  tcp_info info{};
  tcp_repair_window window{};
};

bool read_checkpoint(int fd, Checkpoint& point) {
  socklen_t peer_length = sizeof point.peer;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&point.local), &point.length) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&point.peer), &peer_length) == 0 &&
         get(fd, TCP_INFO, point.info) && get(fd, TCP_TIMESTAMP, point.timestamp) &&
         get(fd, TCP_MAXSEG, point.mss) && set(fd, TCP_REPAIR, TCP_REPAIR_ON) &&
         set(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) && get(fd, TCP_QUEUE_SEQ, point.heard) &&
         set(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) && get(fd, TCP_QUEUE_SEQ, point.sent) &&
         get(fd, TCP_REPAIR_WINDOW, point.window);
}

bool begin_restored(int fd, const Checkpoint& point) {
  const int on = 1;
  return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
         set(fd, TCP_REPAIR, TCP_REPAIR_ON) &&
         bind(fd, reinterpret_cast<const sockaddr*>(&point.local), point.length) == 0 &&
         set(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) &&
         set(fd, TCP_QUEUE_SEQ, static_cast<int>(point.heard)) &&
         set(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) &&
         set(fd, TCP_QUEUE_SEQ, static_cast<int>(point.sent)) &&
         connect(fd, reinterpret_cast<const sockaddr*>(&point.peer), point.length) == 0;
}

bool finish_restored(int fd, const Checkpoint& point) {
  const std::uint32_t scales =
      point.info.tcpi_snd_wscale | static_cast<std::uint32_t>(point.info.tcpi_rcv_wscale) << 16;
  tcp_repair_opt options[4] = {{option_mss, point.mss}};
  socklen_t count = 1;
  if (point.info.tcpi_options & TCPI_OPT_WSCALE)
    options[count++] = {option_window_scale, scales};
  if (point.info.tcpi_options & TCPI_OPT_SACK)
    options[count++] = {option_sack, 0};
  if (point.info.tcpi_options & TCPI_OPT_TIMESTAMPS)
    options[count++] = {option_timestamps, 0};
  return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options,
                    count * static_cast<socklen_t>(sizeof options[0])) == 0 &&
         set(fd, TCP_TIMESTAMP, static_cast<int>(point.timestamp)) &&
         setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &point.window, sizeof point.window) == 0 &&
         set(fd, TCP_REPAIR, TCP_REPAIR_OFF);
}

} // namespace

Result<Fd> restore_connection(Fd fd) {
  Checkpoint point;
  if (!read_checkpoint(fd.get(), point))
    return cannot("take");
  fd = Fd{};
  Fd restored{socket(point.local.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP)};
  if (!restored || !begin_restored(restored.get(), point) ||
      !finish_restored(restored.get(), point))
    return cannot("restore");
  return restored;
}

} // namespace trap::lab
