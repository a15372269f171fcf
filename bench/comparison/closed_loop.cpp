// SPDX-License-Identifier: Apache-2.0
#include "bench/comparison/closed_loop.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bench/harness/use_rigs.h"
#include "lab/hosts/cpus.h"
#include "tests/bpf/harness/object.h"
#include "trap_flood.skel.h"

namespace trap::bench {
namespace {

using test::Json;

// Under the 256 frames that a veth's ring holds, so that a whole batch waits there without loss.
constexpr std::uint32_t batch_frames = 64;
constexpr int attempts = 5;
constexpr useconds_t settle_us = 5000; // for what ksoftirqd still has in hand

double clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// The kernel thread that takes over when a core has more packets than it can handle at once; 0 if
// it is not visible.
pid_t softirq_thread(int cpu) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    std::string name;
    if (std::getline(std::ifstream{entry.path() / "comm"}, name) &&
        name == "ksoftirqd/" + std::to_string(cpu))
      return std::atoi(entry.path().filename().c_str());
  }
  return 0;
}

double cpu_ns_of(pid_t pid) {
  clockid_t clock{};
  return pid > 0 && clock_getcpuclockid(pid, &clock) == 0 ? clock_ns(clock) : 0;
}

struct Spent {
  double thread_ns = 0;
  double loop_ns = 0; // of the kernel's loop by its own account, without set-up and without the
                      // times when others had the core
  int error = 0;
};

Spent generate(int program_fd, const test::Bytes& frame, unsigned interface,
               std::uint64_t packets) {
  xdp_md context = {};
  context.data_end = static_cast<__u32>(frame.size());
  context.ingress_ifindex = interface;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
              .data_size_in = static_cast<__u32>(frame.size()), .ctx_in = &context,
              .ctx_size_in = sizeof context, .repeat = static_cast<int>(packets),
              .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = batch_frames);
  const double before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  const int error = bpf_prog_test_run_opts(program_fd, &options);
  return {clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns,
          static_cast<double>(options.duration) * static_cast<double>(packets), error};
}

bool is_syn(FloodKind kind) {
  return kind == FloodKind::syn || kind == FloodKind::syn_uninvited ||
         kind == FloodKind::syn_ticketed;
}

// Options as in a Linux SYN, with the timestamp 0: MSS 1460, SACK permitted, timestamps, window
// scale 7.
Json options_of(FloodKind kind) {
  Json options = Json::array();
  if (is_syn(kind))
    options = {{{"hex", "020405b40402080a0000000000000000"}}, {{"hex", "01030307"}}};
  if (kind == FloodKind::syn_ticketed)
    options.push_back({{"ticket", "000000000000000000000000"}});
  if (kind == FloodKind::ack_valid)
    options = {{{"accept", 0}}, {{"nop", 20}}};
  return options;
}

constexpr const char* responders_mac = "02:00:00:00:00:02";

// The frame has zeros where the generator puts its own values. A SYN that its ticket lets pass is
// addressed to another host's card, so that the stack drops it at once and only the guard counts.
Json description_of(const Flood& flood) {
  const Json ip = {{"src", flood.family == 4 ? "0.0.0.0" : "::"}, {"dst", "public"}};
  const Json tcp = {{"sport", 0},
                    {"dport", 80},
                    {"seq", 0},
                    {"ack", 0},
                    {"window", 64240},
                    {"flags", is_syn(flood.kind) ? "S" : "A"},
                    {"options", options_of(flood.kind)}};
  const char* to = flood.kind == FloodKind::syn_ticketed ? "02:00:00:00:00:99" : responders_mac;
  return {{"eth", {{"dst", to}}}, {"ip", ip}, {"tcp", tcp}};
}

} // namespace

ClosedLoop::ClosedLoop(lab::Host host, Program<trap_flood> programs, test::TestConstants constants)
    : host_(std::move(host)), programs_(std::move(programs)), constants_(std::move(constants)) {}

ClosedLoop::~ClosedLoop() = default;

Result<std::unique_ptr<ClosedLoop>> ClosedLoop::build() {
  auto host = lab::Host::create("generator");
  if (!host)
    return host.error();
  auto loaded = Program<trap_flood>::load();
  if (!loaded)
    return Error{loaded.error().message + ": " + test::last_libbpf_warning()};
  auto constants = use_rigs([]() -> Result<test::TestConstants> { return test::TestConstants(); });
  if (!constants)
    return constants.error();
  return std::unique_ptr<ClosedLoop>{
      new ClosedLoop(std::move(*host), std::move(*loaded), std::move(*constants))};
}

Result<ResponderHost> ClosedLoop::build_host(const std::string& name) {
  const int number = ++hosts_;
  const std::string near = fmt::format("to-{}", number);
  auto host = lab::Host::create(name);
  if (!host)
    return host.error();
  ResponderHost on{std::move(*host), near};
  if (auto added = host_.ip(fmt::format("link add {} address 02:00:00:00:00:01 type veth peer name "
                                        "eth0 address {} netns {}\n",
                                        near, responders_mac, on.host.namespace_name()));
      !added)
    return added.error();
  // IPv6 would send by itself.
  if (auto set = host_.set(fmt::format("ipv6/conf/{}/disable_ipv6", near), "1"); !set)
    return set.error();
  if (auto up = host_.ip(fmt::format("link set {} up\n", near)); !up)
    return up.error();
  std::string lines = "link set eth0 up\n";
  for (const auto& [family, gateway] : {std::pair{4, "192.0.2.1"}, {6, "2001:db8:192::1"}}) {
    const std::string address = constants_.values().at(fmt::format("address.v{}.public", family));
    lines += fmt::format("address add {}/{} dev eth0\n"
                         "neighbour add {} lladdr 02:00:00:00:00:01 nud permanent dev eth0\n"
                         "route add default via {} dev eth0 onlink\n",
                         address, family == 4 ? 32 : 128, gateway, gateway);
  }
  if (auto addressed = on.host.ip(lines); !addressed)
    return addressed.error();
  if (auto attached = attach_sink(on); !attached)
    return attached.error();
  {
    const lab::InHost inside{host_};
    on.index = if_nametoindex(near.c_str());
  }
  return on;
}

Result<void> ClosedLoop::attach_sink(const ResponderHost& on) {
  const lab::InHost inside{host_};
  const int index = static_cast<int>(if_nametoindex(on.interface.c_str()));
  if (!inside.entered() ||
      bpf_xdp_attach(index, bpf_program__fd(programs_->progs.sink), 0, nullptr) != 0)
    return Error{"cannot attach the sink to " + on.interface + ": " + error_text(errno)};
  return {};
}

Result<void> ClosedLoop::set_credentials(const std::vector<trap_flood_credential>& credentials) {
  if (credentials.size() != TRAP_FLOOD_CREDENTIALS)
    return Error{"the table of credentials has another size"};
  std::ranges::copy(credentials, programs_->bss->credentials);
  return {};
}

Result<void> ClosedLoop::prepare_order(const Flood& flood) {
  auto frame = use_rigs([&]() -> Result<test::Bytes> {
    return test::build_packet(description_of(flood), flood.family, constants_);
  });
  if (!frame)
    return frame.error();
  frame_ = std::move(*frame);
  trap_flood_order& order = programs_->bss->order;
  if (frame_.size() > sizeof order.words || frame_.size() % 2 != 0)
    return Error{"the flood's frame does not fit the generator"};
  std::memset(order.words, 0, sizeof order.words);
  std::memcpy(order.words, frame_.data(), frame_.size());
  order.bytes = static_cast<__u32>(frame_.size());
  order.family = static_cast<__u32>(flood.family);
  order.cpu = static_cast<__u32>(lab::last_cpu());
  order.has_timestamp = is_syn(flood.kind) ? 1 : 0;
  order.has_credentials =
      flood.kind == FloodKind::ack_valid || flood.kind == FloodKind::syn_ticketed ? 1 : 0;
  order.has_ticket = flood.kind == FloodKind::syn_ticketed ? 1 : 0;
  programs_->bss->seen = {};
  frame_.resize(frame_.size() + TRAP_FLOOD_TRIM);
  return {};
}

Result<LoopRun> ClosedLoop::try_run(const ResponderHost& on, const Flood& flood,
                                    std::uint64_t packets) {
  if (auto prepared = prepare_order(flood); !prepared)
    return prepared.error();
  Spent spent;
  bool ready = false;
  static const pid_t softirqs = softirq_thread(lab::last_cpu());
  const double softirqs_before_ns = cpu_ns_of(softirqs);
  const double wall_before_ns = clock_ns(CLOCK_MONOTONIC);
  std::thread([&] {
    const lab::InHost inside{host_};
    ready = lab::keep_to_cpu(lab::last_cpu()) && inside.entered();
    if (ready)
      spent = generate(bpf_program__fd(programs_->progs.generate), frame_, on.index, packets);
  }).join();
  const double wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_before_ns;
  if (!ready || spent.error != 0)
    return Error{"cannot send live frames through " + on.interface + ": " +
                 error_text(spent.error)};
  usleep(settle_us);
  // Kernels that book interrupt time apart do not show the loop's softirqs in the thread's time;
  // the loop's own clock has them.
  const double core_ns =
      std::max(spent.thread_ns, spent.loop_ns) + cpu_ns_of(softirqs) - softirqs_before_ns;
  return LoopRun{packets, packets, programs_->bss->seen, core_ns, wall_ns};
}

// A packet that a host sends by itself, such as a multicast report, can make another CPU poll a
// veth, and it goes on polling while frames come. Then the time of one core is not the whole cost.
Result<LoopRun> ClosedLoop::run(const ResponderHost& on, const Flood& flood,
                                std::uint64_t packets) {
  for (int attempt = 0; attempt < attempts; attempt++) {
    auto done = try_run(on, flood, packets);
    if (!done)
      return done;
    done->sent_in_all = packets * static_cast<std::uint64_t>(attempt + 1);
    if (done->seen.elsewhere <= packets / 1000)
      return done;
  }
  return Error{fmt::format("another CPU than {} takes part in every run through {}",
                           lab::last_cpu(), on.interface)};
}

} // namespace trap::bench
