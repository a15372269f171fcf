// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/listener_inspector.h"

#include <functional>

#include <net/if.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "runtime/packet/segment.h"
#include "server/handover.h"
#include "trap_listener.skel.h"

namespace trap::server {
namespace {

// Of the segment's source, which is the address itself; the next ones for more questions.
constexpr std::uint16_t asking_port = 32768;

// What the program says of a segment; nothing if it cannot be run.
struct Said {
  __u32 facts = 0, mark = 0, room = 0, drops = 0;
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
  return {options.retval, context.mark, context.cb[0], context.cb[1]};
}

// Listeners that share an address have a queue each.
QueueSight look_at_queues(const Said& first, const std::function<Said(std::uint16_t)>& ask_from) {
  QueueSight sight;
  sight.is_full = first.facts & TRAP_LISTENER_FULL;
  sight.room = first.room;
  sight.drops[0] = first.drops;
  for (std::size_t i = 1; i < queue_questions && (first.facts & TRAP_LISTENER_SHARES); i++) {
    const Said said = ask_from(static_cast<std::uint16_t>(asking_port + i));
    sight.is_full = sight.is_full && (said.facts & TRAP_LISTENER_FULL);
    sight.drops[i] = said.drops;
  }
  return sight;
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

std::map<Endpoint, SeenListener> ListenerInspector::look_at(const std::vector<Endpoint>& listeners,
                                                            const std::string& interface) const {
  std::map<Endpoint, SeenListener> found;
  if (!program_)
    return found;
  const int fd = bpf_program__fd(program_->progs.trap_listener);
  const unsigned index = if_nametoindex(interface.c_str());
  for (const Endpoint& listener : listeners) {
    const auto ask_from = [&](std::uint16_t port) {
      return ask(fd, {listener.address, port}, listener, index);
    };
    const Said said = ask_from(asking_port);
    if (said.facts & TRAP_LISTENER_FOUND)
      found[listener] = {{.is_multipath = (said.facts & TRAP_LISTENER_MULTIPATH) != 0,
                          .has_signatures = (said.facts & TRAP_LISTENER_SIGNATURES) != 0,
                          .wants_near = (said.facts & TRAP_LISTENER_NEAR) != 0,
                          .mark = said.mark},
                         look_at_queues(said, ask_from)};
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
