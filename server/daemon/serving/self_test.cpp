// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/self_test.h"

#include <cstring>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <fmt/core.h>
#include <sodium.h>

#include "runtime/net/socket_address.h"
#include "runtime/packet/handshake.h"
#include "server/handover.h"
#include "trap_inject.skel.h"

namespace trap::server {
namespace {

constexpr int patience_ms = 20; // the stack may put packets off to another CPU
constexpr int most_looks = 50;  // at packets of others with the same port
constexpr std::uint16_t first_port = 32768, port_count = 28232; // Linux's own ephemeral range
constexpr std::uint16_t least_mss = 1220; // that the kernel takes for both families
constexpr int queue_length = 8;

Fd listen_at_loopback(trap_family family) {
  Endpoint loopback;
  loopback.address = family == TRAP_IPV4 ? trap_address_v4(htonl(INADDR_LOOPBACK)) : trap_address{};
  if (family == TRAP_IPV6)
    loopback.address.bytes[15] = 1;
  const SocketAddress name(loopback, true);
  Fd fd(socket(domain_of(family), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || bind(fd.get(), name.get(), name.bytes) != 0 || listen(fd.get(), queue_length) != 0)
    return {};
  return fd;
}

Bytes metadata_with(const trap_handover& handover) {
  Bytes metadata(TRAP_HANDOVER_METADATA_BYTES);
  std::memcpy(&metadata[TRAP_HANDOVER_AT], &handover, sizeof(handover));
  return metadata;
}

Bytes metadata_of(const Fd& listener) {
  trap_handover handover = {};
  handover.mark = TRAP_HANDOVER_MARK;
  handover.timestamp = name_of_socket(listener.get()).port;
  handover.mss = least_mss;
  handover.flags = TRAP_HANDOVER_TEST;
  return metadata_with(handover);
}

// With it, trap-server's program at tc leaves a frame to the stack.
Bytes metadata_of_none() {
  trap_handover handover = {};
  handover.mark = TRAP_HANDOVER_MARK;
  return metadata_with(handover);
}

std::string problem_of(const Error& why) {
  return fmt::format("cannot see what this host's stack answers, so that tests find no handshakes "
                     "that this host loses: {}",
                     why.message);
}

bool is_readable(int fd) {
  pollfd ready = {.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&ready, 1, patience_ms) > 0;
}

} // namespace

struct SelfTest::Handshake {
  Endpoint client, service;
  std::uint32_t seq, ack; // of the completing ACK

  Segment segment(std::uint8_t flags) const {
    const bool is_syn = flags == tcp_syn;
    return {.from = client,
            .to = service,
            .seq = is_syn ? seq - 1 : seq,
            .ack = flags == tcp_ack ? ack : 0,
            .flags = flags};
  }
};

SelfTest::SelfTest() = default;
SelfTest::~SelfTest() = default;

void SelfTest::open() {
  if (const auto prepared = prepare(); !prepared)
    problem_ = fmt::format("no handshakes of its own can test the way of clients: {}",
                           prepared.error().message);
}

Result<void> SelfTest::prepare() {
  auto program = Program<trap_inject>::load();
  if (!program)
    return program.error();
  ipv4_listener_ = listen_at_loopback(TRAP_IPV4);
  ipv6_listener_ = listen_at_loopback(TRAP_IPV6); // none where IPv6 is switched off
  if (!ipv4_listener_)
    return Error{fmt::format("cannot listen at 127.0.0.1: {}", error_text(errno))};
  program_ = std::move(*program);
  return {};
}

// Not before there is something to test, and once: a kernel that refuses it will do so again.
void SelfTest::load_watch() {
  if (watch_ || !problem_.empty())
    return;
  auto watch = WireWatch::make();
  if (watch)
    watch_ = std::move(*watch);
  else
    problem_ = problem_of(watch.error());
}

// Live frames go up from where XDP would let them pass. `metadata` lies in front of the frame.
bool SelfTest::inject(const TestPath& path, const Segment& segment, const Bytes& metadata) const {
  Bytes data = metadata;
  const Bytes frame = build_frame(path.ethernet, segment);
  data.insert(data.end(), frame.begin(), frame.end());
  xdp_md context = {};
  context.data = static_cast<__u32>(metadata.size());
  context.data_end = static_cast<__u32>(data.size());
  context.ingress_ifindex = path.interface;
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = data.data();
  options.data_size_in = static_cast<__u32>(data.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof(context);
  options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  options.batch_size = 1;
  options.repeat = 1;
  return bpf_prog_test_run_opts(bpf_program__fd(program_->progs.trap_inject), &options) == 0;
}

// The connection ends before anything of it leaves for the network.
bool SelfTest::arrives(const TestPath& path, const Handshake& handshake) const {
  const Fd& listener =
      family_of(handshake.client.address) == TRAP_IPV4 ? ipv4_listener_ : ipv6_listener_;
  if (!inject(path, handshake.segment(tcp_ack), metadata_of(listener)))
    return false;
  bool arrived = false;
  while (!arrived && is_readable(listener.get())) {
    sockaddr_storage storage = {};
    socklen_t bytes = sizeof(storage);
    const Fd connection(accept4(listener.get(), reinterpret_cast<sockaddr*>(&storage), &bytes,
                                SOCK_CLOEXEC | SOCK_NONBLOCK));
    arrived = connection && endpoint_of(storage) == handshake.client;
    if (arrived)
      inject(path, handshake.segment(tcp_rst), {});
  }
  return arrived;
}

// Does a segment with this flag go back to the client? A SYN-ACK answers a SYN that comes the same
// way without TRAP; a RST answers an ACK whose socket was lost. Nothing: it cannot be seen.
std::optional<bool> SelfTest::is_answered(const TestPath& path, const Handshake& handshake,
                                          std::uint8_t by, const Bytes& metadata_of_syn) {
  const trap_family family = family_of(handshake.client.address);
  if (!watch_)
    return std::nullopt;
  auto watched = watch_->begin(family, handshake.client.port, WireWatch::Ways::out);
  problem_ = watched ? "" : problem_of(watched.error());
  if (!watched)
    return std::nullopt;
  const Fd& listener = family == TRAP_IPV4 ? ipv4_listener_ : ipv6_listener_;
  const bool sent = by == tcp_rst ? inject(path, handshake.segment(tcp_ack), metadata_of(listener))
                                  : inject(path, handshake.segment(tcp_syn), metadata_of_syn);
  bool answered = false;
  for (int look = 0; look < most_looks && sent && !answered && is_readable(watch_->event_fd());
       look++)
    for (const WireWatch::Sighting& seen : watch_->take()) {
      const auto segment = read_packet(seen.packet.data(), seen.packet.size());
      answered = answered || (segment && segment->from == handshake.service &&
                              segment->to == handshake.client && segment->flags & by);
    }
  watch_->end();
  if (by == tcp_syn)
    inject(path, handshake.segment(tcp_rst), {});
  return sent ? std::optional(answered) : std::nullopt;
}

TestResult SelfTest::run(const std::string& interface, const Endpoint& service,
                         const Assigner& assigner, bool at_tc,
                         const std::optional<trap_address>& client) {
  load_watch();
  auto path = program_ ? find_test_path(interface, service.address) : std::nullopt;
  if (!path || (family_of(service.address) == TRAP_IPV6 && !ipv6_listener_))
    return TestResult::unknown;
  if (client)
    path->client = *client;
  const auto new_handshake = [&] {
    const auto port = static_cast<std::uint16_t>(first_port + randombytes_uniform(port_count));
    return Handshake{{path->client, port}, service, randombytes_random(), randombytes_random()};
  };
  constexpr std::uint32_t no_service = 0; // tests count there
  const Bytes let_alone = at_tc ? metadata_of_none() : Bytes();
  const std::uint64_t tried = assigner.tried(no_service);
  if (arrives(*path, new_handshake()))
    return TestResult::passed;
  const bool reached_tc = assigner.tried(no_service) != tried;
  const auto syn_is_answered = is_answered(*path, new_handshake(), tcp_syn, let_alone);
  if (!syn_is_answered.value_or(false))
    return syn_is_answered ? TestResult::unanswered : TestResult::unknown;
  if (!reached_tc)
    return TestResult::lost_before_tc;
  return is_answered(*path, new_handshake(), tcp_rst, let_alone).value_or(false)
             ? TestResult::lost_socket
             : TestResult::lost_behind_tc;
}

} // namespace trap::server
