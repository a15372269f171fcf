// SPDX-License-Identifier: Apache-2.0
#include "lab/traffic/torrent.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <limits>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <pthread.h>

#include <fmt/format.h>

#include "lab/bpf/flood.h"
#include "lab/hosts/cpus.h"
#include "lab/network/receive_path.h"
#include "runtime/packet/segment.h"
#include "runtime/packet/tcp_options.h"
#include "trap_flood.skel.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds start_deadline{3000}, command_deadline{5000};
constexpr std::uint64_t packets_that_show_it = 500;
constexpr std::uint32_t batch_frames = 8;                // they arrive together
constexpr int repeats = std::numeric_limits<int>::max(); // a minute or more, early frames included
constexpr std::chrono::nanoseconds forgiven{500'000};
constexpr std::chrono::milliseconds patience{1};

// 256ths of a nanosecond, as the program counts.
std::uint64_t fine(std::chrono::nanoseconds time) {
  return static_cast<std::uint64_t>(time.count()) << 8;
}

// A signal is what ends the kernel's loop.
int wake_signal() {
  static const int signal = [] {
    struct sigaction nothing {};
    nothing.sa_handler = [](int) {};
    sigaction(SIGRTMIN + 1, &nothing, nullptr);
    return SIGRTMIN + 1;
  }();
  return signal;
}

// As a Linux client sends it, with zeros where the program puts sources and numbers.
Bytes syn_to(const TorrentOrder& order) {
  const HostAddresses& host = addresses_of(order.host);
  Segment segment;
  if (const auto address = parse_address(order.address))
    segment.to.address = *address;
  segment.to.port = static_cast<std::uint16_t>(order.port);
  if (const auto none = parse_address(order.family == Family::ipv6 ? "::" : "0.0.0.0"))
    segment.from.address = *none;
  segment.flags = tcp_syn;
  segment.options =
      TcpOptions().mss(1460).sack_permitted().timestamps(0, 0).nop().window_scale(7).bytes();
  return build_frame({.destination = host.mac(), .source = host.router_mac()}, segment);
}

} // namespace

Result<void> prepare_flooded_link(const Topology& topology, const std::string& host) {
  if (auto pinned = receive_on_cpu(topology.host(host), "eth0", 0, std::nullopt); !pinned)
    return pinned;
  // Without this, a veth takes what can be segmented past the queue in which the flood waits, until
  // an XDP program is there.
  const Command no_segmentation =
      topology.host("router").command({"ethtool", "-K", host, "tso", "off"});
  if (auto set = run_checked(no_segmentation, command_deadline); !set)
    return set.error();
  // Answers are to leave the host as they would leave a card, whatever else its CPU does.
  return receive_on_cpu(topology.host("router"), host, last_cpu(), first_nice);
}

// The program stays attached when its descriptors close.
Result<Gate> Gate::close(const Topology& topology, const std::string& host) {
  const auto program = Program<trap_flood>::load();
  if (!program)
    return program.error();
  const InHost inside{topology.host("router")};
  const int index = static_cast<int>(if_nametoindex(host.c_str()));
  __u32 before = 0;
  if (!inside.entered() || bpf_xdp_query_id(index, XDP_FLAGS_DRV_MODE, &before) != 0 ||
      bpf_xdp_attach(index, bpf_program__fd((*program)->progs.gate), XDP_FLAGS_DRV_MODE, nullptr) !=
          0)
    return Error{"cannot attach an XDP program to the router's interface " + host + ": " +
                 error_text(errno)};
  return Gate{topology, host, before != 0};
}

Gate::~Gate() {
  if (topology_ != nullptr)
    static_cast<void>(passed_before_ ? topology_->attach_pass_program(host_)
                                     : topology_->detach_pass_program(host_));
}

Torrent::Torrent(const Topology& topology, TorrentOrder order, Program<trap_flood> program)
    : topology_(topology), order_(std::move(order)), program_(std::move(program)) {}

Result<std::unique_ptr<Torrent>> Torrent::start(const Topology& topology,
                                                const TorrentOrder& order) {
  auto program = Program<trap_flood>::load();
  if (!program)
    return program.error();
  auto gate = Gate::close(topology, order.host);
  if (!gate)
    return gate.error();
  std::unique_ptr<Torrent> torrent{new Torrent(topology, order, std::move(*program))};
  torrent->gate_.emplace(std::move(*gate));
  torrent->awake_ = keep_cpus_awake();
  torrent->prepare_frame();
  if (auto seen = torrent->seen(); !seen)
    return seen.error();
  static_cast<void>(wake_signal());
  torrent->thread_ = std::thread([flood = torrent.get()] { flood->flood(); });
  if (auto received = torrent->wait_until_received(); !received)
    return received.error();
  return torrent;
}

Torrent::~Torrent() {
  if (!thread_.joinable())
    return;
  while (!over_) {
    pthread_kill(thread_.native_handle(), wake_signal());
    std::this_thread::sleep_for(patience);
  }
  thread_.join();
}

void Torrent::prepare_frame() {
  frame_ = syn_to(order_);
  trap_flood_order& order = program_->bss->order;
  std::memcpy(order.words, frame_.data(), frame_.size());
  order.bytes = static_cast<__u32>(frame_.size());
  order.family = order_.family == Family::ipv4 ? TRAP_IPV4 : TRAP_IPV6;
  order.number = static_cast<__u64>(Clock::now().time_since_epoch().count());
  order.has_timestamp = 1;
  frame_.resize(frame_.size() + TRAP_FLOOD_TRIM);
}

// One call of the kernel for the whole flood: beginning and ending one takes tens of milliseconds.
void Torrent::flood() {
  const InHost inside{topology_.host("router")};
  if (!inside.entered() || !keep_to_cpu(last_cpu())) {
    failure_ = errno;
    over_ = true;
    return;
  }
  const Preferred flood{measured_nice};
  xdp_md context = {};
  context.data_end = static_cast<__u32>(frame_.size());
  context.ingress_ifindex = if_nametoindex(order_.host.c_str());
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame_.data(),
              .data_size_in = static_cast<__u32>(frame_.size()), .ctx_in = &context,
              .ctx_size_in = sizeof context, .repeat = repeats, .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
              .batch_size = batch_frames);
  const auto now = std::chrono::nanoseconds{Clock::now().time_since_epoch()};
  trap_flood_pace& pace = program_->bss->pace;
  pace.due = fine(now);
  pace.end = fine(now + order_.longest);
  pace.forgiven = fine(forgiven);
  pace.most = static_cast<std::uint64_t>(order_.longest.count()) *
              static_cast<std::uint64_t>(order_.per_second);
  pace.interval = fine(std::chrono::seconds{1}) / static_cast<std::uint64_t>(order_.per_second);
  if (bpf_prog_test_run_opts(bpf_program__fd(program_->progs.generate), &options) != 0 &&
      errno != EINTR)
    failure_ = errno;
  over_ = true;
}

std::uint64_t Torrent::offered() const {
  return std::atomic_ref{program_->bss->order.number}.load();
}

Result<void> Torrent::wait_until_received() {
  const std::uint64_t before = received_before_;
  const bool received = becomes(
      [&] {
        const auto now = topology_.host(order_.host).received_packets();
        return failure_ != 0 || (now && *now >= before + packets_that_show_it);
      },
      start_deadline);
  if (failure_ != 0)
    return Error{"cannot send live frames to " + order_.host + ": " + error_text(failure_)};
  if (!received)
    return Error{"the flood never reached " + order_.host};
  if (auto begun = seen(); !begun)
    return begun.error();
  return {};
}

Result<TorrentSeen> Torrent::seen() {
  const auto received = topology_.host(order_.host).received_packets();
  if (!received)
    return received.error();
  if (failure_ != 0)
    return Error{"the flood broke off: " + error_text(failure_)};
  const Clock::time_point now = Clock::now();
  const std::uint64_t offered = this->offered();
  const TorrentSeen seen{std::chrono::duration<double>(now - since_).count(),
                         offered - offered_before_, *received - received_before_};
  since_ = now;
  offered_before_ = offered;
  received_before_ = *received;
  return seen;
}

} // namespace trap::lab
