// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/listener_inspector.h"

#include <net/if.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "runtime/packet/segment.h"
#include "server/handover.h"
#include "trap_listener.skel.h"

namespace trap::server {
namespace {

constexpr std::uint16_t any_port = 32768; // of the segment's source, which is the address itself

// What the program says of a segment; nothing if it cannot be run.
struct Said {
  __u32 facts = 0, mark = 0;
};

Said ask(int program_fd, const Endpoint& from, const Endpoint& to, unsigned interface_index) {
  const auto frame = build_frame({}, Segment{.from = from, .to = to, .flags = tcp_ack});
  __sk_buff context = {};
  context.ifindex = interface_index;
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<__u32>(frame.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof(context);
  options.ctx_out = &context;
  options.ctx_size_out = sizeof(context);
  if (bpf_prog_test_run_opts(program_fd, &options) != 0)
    return {};
  return {options.retval, context.mark};
}

} // namespace

ListenerInspector::ListenerInspector() = default;
ListenerInspector::~ListenerInspector() = default;

Result<void> ListenerInspector::load() {
  auto program = Program<trap_listener>::load();
  if (!program)
    return program.error();
  program_ = std::move(*program);
  return {};
}

std::map<Endpoint, ListenerFacts> ListenerInspector::look_at(const std::vector<Endpoint>& listeners,
                                                             const std::string& interface) const {
  std::map<Endpoint, ListenerFacts> found;
  if (!program_)
    return found;
  const int fd = bpf_program__fd(program_->progs.trap_listener);
  const unsigned index = if_nametoindex(interface.c_str());
  for (const Endpoint& listener : listeners) {
    const auto [facts, mark] = ask(fd, {listener.address, any_port}, listener, index);
    if (facts & TRAP_LISTENER_FOUND)
      found[listener] = {.is_multipath = (facts & TRAP_LISTENER_MULTIPATH) != 0,
                         .has_signatures = (facts & TRAP_LISTENER_SIGNATURES) != 0,
                         .wants_near = (facts & TRAP_LISTENER_NEAR) != 0,
                         .mark = mark};
  }
  return found;
}

Arrival ListenerInspector::arrival(const Endpoint& client, const Endpoint& address,
                                   unsigned interface_index) const {
  if (!program_)
    return Arrival::unknown;
  const __u32 facts =
      ask(bpf_program__fd(program_->progs.trap_listener), client, address, interface_index).facts;
  if (facts & TRAP_LISTENER_CONNECTION)
    return Arrival::arrived;
  return (facts & TRAP_LISTENER_FOUND) && !(facts & TRAP_LISTENER_FULL) ? Arrival::lost
                                                                        : Arrival::unknown;
}

} // namespace trap::server
