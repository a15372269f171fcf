// SPDX-License-Identifier: Apache-2.0
// The lab's own flood generator: a packet socket, batches through sendmmsg, bounded in time. Runs
// as a process of its own in the attacker's namespace.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "lab/traffic/flood.h"

namespace trap::lab {
namespace {

constexpr std::size_t batch = 64;
constexpr long seconds_max = 600, per_second_max = 100'000'000;
// With a rate, frames are sent in portions, this many a second at least.
constexpr long portions_per_second = 1000;

using Clock = std::chrono::steady_clock;

struct Generator {
  Fd socket;
  FloodTarget target;
  std::chrono::seconds duration{};
  long per_second = 0; // 0: as many as it can

  [[nodiscard]] std::size_t portion() const {
    return per_second == 0 ? batch
                           : static_cast<std::size_t>(std::clamp(per_second / portions_per_second,
                                                                 1L, static_cast<long>(batch)));
  }
};

bool parse_mac(const std::string& text, MacAddress& mac) {
  unsigned parts[6];
  if (std::sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &parts[0], &parts[1], &parts[2], &parts[3],
                  &parts[4], &parts[5]) != 6)
    return false;
  std::ranges::transform(parts, mac.begin(),
                         [](unsigned part) { return static_cast<std::uint8_t>(part); });
  return true;
}

bool parse_address(const std::string& text, FloodTarget& target) {
  target.family = text.find(':') == std::string::npos ? 4 : 6;
  return inet_pton(target.family == 4 ? AF_INET : AF_INET6, text.c_str(), &target.target) == 1;
}

bool parse_kind(const std::string& text, FloodKind& kind) {
  for (const FloodKind candidate : {FloodKind::syn, FloodKind::ack, FloodKind::rst, FloodKind::fin})
    if (name_of(candidate) == text) {
      kind = candidate;
      return true;
    }
  return false;
}

bool parse_number(const std::string& text, long least, long greatest, long& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && number >= least &&
         number <= greatest;
}

Result<Fd> open_packet_socket(const std::string& interface) {
  Fd socket{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  const int bypass = 1;
  if (!socket || address.sll_ifindex == 0 ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error{"no packet socket on " + interface + ": " + error_text(errno)};
  setsockopt(socket.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof bypass);
  return socket;
}

Result<Generator> parse(const std::vector<std::string>& arguments) {
  Generator generator;
  long port = 0, seconds = 0;
  const bool many = arguments.size() > 7 && arguments[7] == "many";
  const std::size_t rate_at = many ? 8 : 7;
  const bool paced = arguments.size() == rate_at + 1;
  if ((arguments.size() != rate_at && !paced) ||
      !parse_mac(arguments[1], generator.target.source_mac) ||
      !parse_mac(arguments[2], generator.target.gateway_mac) ||
      !parse_address(arguments[3], generator.target) ||
      !parse_number(arguments[4], 1, 65535, port) ||
      !parse_kind(arguments[5], generator.target.kind) ||
      !parse_number(arguments[6], 1, seconds_max, seconds) ||
      (paced && !parse_number(arguments[rate_at], 1, per_second_max, generator.per_second)))
    return Error{"usage: trap-lab flood INTERFACE SOURCE-MAC GATEWAY-MAC ADDRESS PORT "
                 "syn|ack|rst|fin SECONDS [many] [PER-SECOND]",
                 ExitCode::usage};
  generator.target.port = static_cast<std::uint16_t>(port);
  generator.target.many_sources = many;
  generator.duration = std::chrono::seconds{seconds};
  auto socket = open_packet_socket(arguments[0]);
  if (!socket)
    return socket.error();
  generator.socket = std::move(*socket);
  return generator;
}

void wait_until_due(const Generator& generator, Clock::time_point start, std::uint64_t sent) {
  if (generator.per_second == 0)
    return;
  const std::chrono::duration<double> due{static_cast<double>(sent) /
                                          static_cast<double>(generator.per_second)};
  std::this_thread::sleep_until(start + std::chrono::duration_cast<Clock::duration>(due));
}

void send_until_over(const Generator& generator) {
  std::array<std::array<std::uint8_t, flood_frame_max>, batch> frames;
  std::array<iovec, batch> vectors{};
  std::array<mmsghdr, batch> messages{};
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < batch; i++) {
    bytes = prepare_flood_frame(generator.target, frames[i]);
    vectors[i] = {frames[i].data(), bytes};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const std::size_t portion = generator.portion();
  const Clock::time_point start = Clock::now();
  Scatter scatter{static_cast<std::uint64_t>(start.time_since_epoch().count())};
  for (std::uint64_t sent = 0; Clock::now() < start + generator.duration; sent += portion) {
    wait_until_due(generator, start, sent);
    for (auto& frame : std::span{frames}.first(portion))
      scatter_flood_frame(generator.target, scatter, std::span{frame}.first(bytes));
    sendmmsg(generator.socket.get(), messages.data(), static_cast<unsigned>(portion),
             0); // a packet that the link refuses is lost, as on a wire
  }
}

} // namespace

int run_flood_generator(const std::vector<std::string>& arguments) {
  const auto generator = parse(arguments);
  if (!generator) {
    std::fprintf(stderr, "trap-lab: %s\n", generator.error().message.c_str());
    return static_cast<int>(generator.error().exit_code);
  }
  send_until_over(*generator);
  return 0;
}

} // namespace trap::lab
