// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/announce/announcer.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <sodium.h>

#include "runtime/keys/clock_writer.h"
#include "runtime/log.h"

namespace trap::server {
namespace {

constexpr unsigned records_at_once = 4096;
// Longer than a tick of any kernel's clock, within which the program may not wake us.
constexpr long look_again_ns = 20'000'000;
constexpr std::uint64_t warn_every_ns = 60ULL * 1000000000ULL;

trap_key random_key() {
  std::uint64_t words[TRAP_KEY_BYTES / 8];
  randombytes_buf(words, sizeof(words));
  return trap_key_make(words[0], words[1]);
}

// IPPROTO_RAW means that packets come with their IP header, so that the source can be an address
// routed to this host but not on it.
Result<Fd> raw_socket(int family) {
  Fd fd(socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
  if (!fd && errno == EAFNOSUPPORT)
    return Fd(); // a host without IPv6 has no backend there either
  if (!fd)
    return Error{fmt::format("cannot open a raw socket for announcements: {}", error_text(errno))};
  return fd;
}

} // namespace

Announcer::Announcer(const ServerConfig& config, const ServerPlan& plan, const Secret& master)
    : plan_(&plan), experimental_kind_(config.experimental_kind), filter_(random_key()),
      queue_(random_key(), config.announce_rate) {
  learn(plan, master);
}

void Announcer::learn(const ServerPlan& plan, const Secret& master) {
  plan_ = &plan;
  guards_.clear();
  sources_.clear();
  for (const auto& [name, index] : plan.guards)
    guards_[name].secret = derive_guard_secret(master, name);
  for (const PlannedService& service : plan.services)
    sources_[service.slot] = service.announces_from;
}

void Announcer::follow(const ServerConfig& config, const ServerPlan& plan, const Secret& master,
                       std::uint64_t epoch) {
  learn(plan, master);
  rotate_keys(epoch);
  queue_.set_rate(config.announce_rate);
  guard_here_.forget();
}

Announcer::~Announcer() {
  ring_buffer__free(ring_);
}

Result<std::unique_ptr<Announcer>> Announcer::make(const ServerConfig& config,
                                                   const ServerPlan& plan, const Secret& master,
                                                   int ring_fd) {
  std::unique_ptr<Announcer> announcer(new Announcer(config, plan, master));
  auto v4 = raw_socket(AF_INET);
  if (!v4)
    return v4.error();
  auto v6 = raw_socket(AF_INET6);
  if (!v6)
    return v6.error();
  announcer->raw_v4_ = std::move(*v4);
  announcer->raw_v6_ = std::move(*v6);
  announcer->ring_ = ring_buffer__new(ring_fd, on_record, announcer.get(), nullptr);
  if (!announcer->ring_)
    return Error{fmt::format("cannot read the ring buffer of redirects: {}", error_text(errno))};
  announcer->look_again_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  epoll_event readable = {};
  readable.events = EPOLLIN;
  if (!announcer->look_again_ ||
      epoll_ctl(announcer->event_fd(), EPOLL_CTL_ADD, announcer->look_again_.get(), &readable) != 0)
    return Error{fmt::format("cannot watch the ring buffer of redirects: {}", error_text(errno))};
  return announcer;
}

int Announcer::event_fd() const {
  return ring_buffer__epoll_fd(ring_);
}

void Announcer::consume() {
  budget_ = records_at_once;
  std::uint64_t times;
  [[maybe_unused]] const ssize_t cleared = read(look_again_.get(), &times, sizeof(times));
  const int records = ring_buffer__consume(ring_);
  send_waiting();
  if (records == 0 && queue_.is_empty())
    return;
  itimerspec once = {};
  once.it_value.tv_nsec = look_again_ns;
  timerfd_settime(look_again_.get(), 0, &once, nullptr);
}

void Announcer::rotate_keys(std::uint64_t epoch) {
  for (auto& entry : guards_) {
    Guard& guard = entry.second;
    rotate_keyring(guard.announce_keys, epoch,
                   [&](std::uint64_t wanted) { return derive_announce_key(guard.secret, wanted); });
  }
}

int Announcer::on_record(void* self, void* data, std::size_t bytes) {
  auto* announcer = static_cast<Announcer*>(self);
  trap_redirected record;
  if (bytes >= sizeof(record)) {
    std::memcpy(&record, data, sizeof(record));
    announcer->take(record);
  }
  return --announcer->budget_ == 0
             ? -EAGAIN
             : 0; // the rest at the next event: signals and status must not wait
}

std::optional<Announcer::Told> Announcer::told_of(const trap_redirected& record,
                                                  const trap_clock_anchor& now) const {
  auto source = sources_.find(record.service_slot);
  auto backend = plan_->backends.find(record.backend);
  if (source == sources_.end() || backend == plan_->backends.end())
    return std::nullopt;
  trap_family family = family_of(record.client);
  if (family_of(source->second) != family || family_of(backend->second.endpoint.address) != family)
    return std::nullopt;
  const trap_backend& value = backend->second.value;
  Announcement announcement;
  announcement.source = source->second;
  announcement.backend = backend->second.reached_at;
  announcement.scope = family == TRAP_IPV4 ? value.scope_v4 : value.scope_v6;
  announcement.client = trap_address_mask(record.client, family, announcement.scope);
  announcement.tag = value.tag;
  announcement.lifetime_s = TRAP_FROM_BE16(value.lifetime_s);
  announcement.issued_s = static_cast<std::uint32_t>(now.unix_s);
  return Told{announcement, &guards_.at(backend->second.guard).announce_keys};
}

bool Announcer::announce_itself(const trap_address& source, std::uint32_t backend,
                                std::uint16_t lifetime_s) {
  const auto at = plan_->backends.find(backend);
  if (at == plan_->backends.end())
    return false;
  const trap_clock_anchor now = read_clocks();
  const trap_backend& value = at->second.value;
  Announcement announcement;
  announcement.source = source;
  announcement.backend = at->second.reached_at;
  announcement.scope = family_of(source) == TRAP_IPV4 ? value.scope_v4 : value.scope_v6;
  announcement.client = trap_address_mask(source, family_of(source), announcement.scope);
  announcement.tag = value.tag;
  announcement.lifetime_s = lifetime_s;
  announcement.issued_s = static_cast<std::uint32_t>(now.unix_s);
  const std::uint64_t failed = counts_.failed;
  send(announcement, guards_.at(at->second.guard).announce_keys);
  return counts_.failed == failed;
}

void Announcer::take(const trap_redirected& record) {
  const trap_clock_anchor now = read_clocks();
  const auto told = told_of(record, now);
  if (!told)
    return;
  const Announcement& announcement = told->announcement;
  if (!filter_.is_due(announcement.client, record.backend, now.monotonic_ns)) {
    counts_.deduplicated++;
    return;
  }
  if (!queue_.push(record)) {
    counts_.rate_limited++;
    return;
  }
  filter_.remember(announcement.client, record.backend, announcement.lifetime_s, now.monotonic_ns);
}

void Announcer::send_waiting() {
  const trap_clock_anchor now = read_clocks();
  while (const auto record = queue_.pop(now.monotonic_ns))
    if (const auto told = told_of(*record, now))
      send(told->announcement, *told->keys);
}

void Announcer::send(const Announcement& announcement, const trap_keyring& keys) {
  trap_key key;
  if (!trap_keyring_find(&keys, trap_epoch_of_second(announcement.issued_s), &key))
    return note_failure(announcement.backend, ENOKEY);
  const auto packet = build_announcement(announcement, key, experimental_kind_);
  if (guard_here_.hears(announcement.backend, read_clocks().monotonic_ns)) {
    if (const int failed = guard_here_.tell(packet))
      return note_failure(announcement.backend, failed);
    counts_.sent++;
    return;
  }
  ssize_t sent;
  if (family_of(announcement.backend.address) == TRAP_IPV4) {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = announcement.backend.address.be32[3];
    sent = sendto(raw_v4_.get(), packet.data(), packet.size(), MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  } else {
    sockaddr_in6 to = {};
    to.sin6_family = AF_INET6;
    std::memcpy(&to.sin6_addr, announcement.backend.address.bytes, sizeof(to.sin6_addr));
    sent = sendto(raw_v6_.get(), packet.data(), packet.size(), MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  }
  if (sent < 0)
    return note_failure(announcement.backend, errno);
  counts_.sent++;
}

void Announcer::note_failure(const Endpoint& backend, int error_number) {
  counts_.failed++;
  const std::uint64_t now_ns = read_clocks().monotonic_ns;
  if (warned_ns_ != 0 && now_ns < warned_ns_ + warn_every_ns)
    return;
  warned_ns_ = now_ns;
  log::warn({.backend = format_endpoint(backend)}, "cannot announce a client to {}: {}",
            format_endpoint(backend), error_text(error_number));
}

} // namespace trap::server
