// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/wire_watch.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <sys/socket.h>
#include <utility>

#include <bpf/libbpf.h>
#include <fmt/core.h>

#include "dataplane/sighting.h"
#include "runtime/fd.h"
#include "runtime/keys/clock_writer.h"
#include "trap_wire_watch.skel.h"

namespace trap {
namespace {

std::optional<std::uint64_t> network_cookie() {
  const Fd any(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t bytes = sizeof(cookie);
  if (!any || getsockopt(any.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &bytes) != 0)
    return std::nullopt;
  return cookie;
}

} // namespace

void WireWatch::Free::operator()(ring_buffer* ring) const {
  ring_buffer__free(ring);
}

void WireWatch::Free::operator()(bpf_link* link) const {
  bpf_link__destroy(link);
}

WireWatch::~WireWatch() = default;

Result<std::unique_ptr<WireWatch>> WireWatch::make() {
  std::unique_ptr<WireWatch> watch(new WireWatch);
  const auto network = network_cookie();
  if (!network)
    return Error{fmt::format("cannot tell this network namespace: {}", error_text(errno))};
  auto program = Program<trap_wire_watch>::load();
  if (!program)
    return program.error();
  watch->program_ = std::move(*program);
  watch->program_->bss->order.network = *network;
  const auto on_sighting = [](void* of, void* record, std::size_t bytes) {
    const auto& sighting = *static_cast<const trap_sighting*>(record);
    auto& into = *static_cast<WireWatch*>(of);
    if (bytes < sizeof(sighting))
      return 0;
    const auto seen = std::min<std::size_t>(sighting.seen_bytes, TRAP_SIGHTING_BYTES);
    into.seen_.push_back(
        {.outgoing = sighting.leaves != 0,
         .at_ns = static_cast<std::int64_t>(sighting.monotonic_ns) + into.to_unix_ns_,
         .packet = {sighting.bytes, sighting.bytes + seen}});
    return 0;
  };
  watch->ring_.reset(ring_buffer__new(bpf_map__fd(watch->program_->maps.sightings), on_sighting,
                                      watch.get(), nullptr));
  if (!watch->ring_)
    return Error{fmt::format("cannot map the ring buffer of packets: {}", error_text(errno))};
  return watch;
}

Result<void> WireWatch::begin(trap_family family, std::uint16_t port, Ways ways) {
  end();
  take(); // of what was watched before
  const trap_clock_anchor now = read_clocks();
  to_unix_ns_ = static_cast<std::int64_t>(now.unix_ns - now.monotonic_ns);
  trap_watch_order& order = program_->bss->order;
  order.version = family == TRAP_IPV4 ? 4 : 6;
  order.port = port;
  out_.reset(bpf_program__attach(program_->progs.trap_watch_out));
  if (out_ && ways == Ways::both)
    in_.reset(bpf_program__attach(program_->progs.trap_watch_in));
  if (out_ && (in_ || ways == Ways::out))
    return {};
  const int reason = errno;
  end();
  return Error{fmt::format("cannot trace packets: {}", error_text(reason))};
}

void WireWatch::end() {
  in_.reset();
  out_.reset();
}

int WireWatch::event_fd() const {
  return ring_buffer__epoll_fd(ring_.get());
}

std::vector<WireWatch::Sighting> WireWatch::take() {
  ring_buffer__consume(ring_.get());
  return std::exchange(seen_, {});
}

} // namespace trap
