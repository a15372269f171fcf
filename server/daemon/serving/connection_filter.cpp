// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/serving/connection_filter.h"

#include <fmt/core.h>

#include "runtime/nanoseconds.h"

namespace trap::server {
namespace {

// Between lists, and after distrust(): what a SYN or a cookie that passed has to open by then is in
// the stack.
constexpr std::uint64_t pause_ns = ns_per_s;
// Between lists while there is trust: 100,000 connections then cost 3% of a core.
constexpr std::uint64_t rest_ns = 5 * ns_per_s;
// Lists that must be whole before there is trust: one may have missed a connection
// (SocketList::advance).
constexpr unsigned lists_before_trust = 2;
// Lists of a generation, before the older one is cleared. All but the first began when no program
// was still writing to the older one.
constexpr unsigned lists_of_generation = 4;
// The time that the program relies on a list without another. The bits stay, and the program adds
// its own; but a connection may have come another way, by an interface without the program.
constexpr std::uint64_t trust_ns = 120 * ns_per_s;
constexpr std::size_t connections_of_turn = 8192;

} // namespace

void KnownConnections::tell(std::uint64_t until_ns) {
  __atomic_store_n(&settings_->connection_filter_until_ns, until_ns, __ATOMIC_SEQ_CST);
}

void KnownConnections::distrust(std::uint64_t now_ns) {
  tell(0);
  whole_lists_ = 0;
  listing_ = false;
  due_ns_ = now_ns + pause_ns;
}

void KnownConnections::give_up() {
  tell(0);
  given_up_ = true;
}

void KnownConnections::advance(std::uint64_t now_ns) {
  if (given_up_)
    return;
  if (ports_.empty()) {
    problem_.clear();
    return distrust(now_ns);
  }
  if (!listing_ && now_ns >= due_ns_)
    begin(now_ns);
  if (!listing_)
    return;
  auto whole = list_.advance(connections_of_turn,
                             [this](const HostConnection& connection) { note(connection); });
  if (!whole)
    return fail(now_ns, whole.error());
  if (*whole)
    complete(now_ns);
}

void KnownConnections::begin(std::uint64_t now_ns) {
  if (generation_lists_ >= lists_of_generation)
    change_generation();
  begun_ns_ = now_ns;
  counting_ = 0;
  if (auto begun = list_.begin(ports_.size() == 1 ? *ports_.begin() : 0); !begun)
    return fail(now_ns, begun.error());
  listing_ = true;
}

// The other generation is the older one: its connections, as far as they live, are in this one.
void KnownConnections::change_generation() {
  const __u32 other = ~settings_->connection_filter_generation & 1;
  for (trap_connection_filter& word : *words_)
    __atomic_store_n(&word.bits[other], 0, __ATOMIC_RELAXED);
  __atomic_store_n(&settings_->connection_filter_generation, other, __ATOMIC_SEQ_CST);
  generation_lists_ = 0;
}

void KnownConnections::note(const HostConnection& connection) {
  if (!ports_.contains(TRAP_FROM_BE16(connection.local_port)))
    return;
  const __u64 hash =
      trap_connection_hash(&connection.remote, connection.remote_port, connection.local_port);
  __u64& bits = (*words_)[trap_connection_filter_word(hash)]
                    .bits[settings_->connection_filter_generation & 1];
  __atomic_fetch_or(&bits, trap_connection_filter_bit(hash), __ATOMIC_RELAXED);
  counting_++;
}

void KnownConnections::complete(std::uint64_t now_ns) {
  listing_ = false;
  generation_lists_++;
  count_ = counting_;
  problem_.clear();
  if (++whole_lists_ >= lists_before_trust)
    tell(begun_ns_ + trust_ns);
  due_ns_ = now_ns + (trusted(now_ns) ? rest_ns : pause_ns);
}

void KnownConnections::fail(std::uint64_t now_ns, const Error& error) {
  listing_ = false;
  due_ns_ = now_ns + pause_ns;
  problem_ = fmt::format(
      "{}; until it does, each ACK of a flood costs a service that serves two more lookups",
      error.message);
}

} // namespace trap::server
