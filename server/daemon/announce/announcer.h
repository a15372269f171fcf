// SPDX-License-Identifier: Apache-2.0
// Tells guards of clients that were redirected to them: reads the ring buffer `redirected`,
// filters, and sends through raw sockets.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "protocol/keyring.h"
#include "runtime/fd.h"
#include "runtime/keys/key_derivation.h"
#include "server/daemon/announce/announce_filter.h"
#include "server/daemon/announce/announce_queue.h"
#include "server/daemon/announce/announcement.h"
#include "server/daemon/announce/guard_here.h"
#include "server/daemon/plan/server_plan.h"

struct ring_buffer;

namespace trap::server {

struct AnnounceCounts {
  std::uint64_t sent = 0;
  std::uint64_t deduplicated = 0;
  std::uint64_t rate_limited = 0;
  std::uint64_t failed = 0;
};

class Announcer {
public:
  // `plan` must outlive the announcer.
  static Result<std::unique_ptr<Announcer>> make(const ServerConfig& config, const ServerPlan& plan,
                                                 const Secret& master, int ring_fd);
  ~Announcer();
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  // Another configuration; counts, and who was told of whom, are kept. `plan` must outlive the
  // announcer or the next call.
  void follow(const ServerConfig& config, const ServerPlan& plan, const Secret& master,
              std::uint64_t epoch);

  int event_fd() const;
  // A bounded number of records. While there are some it looks again, by event_fd(): the program
  // does not wake it for each.
  void consume();
  void rotate_keys(std::uint64_t epoch);
  // Announces the source of announcements itself to the guard of a backend (by index), as a client.
  // False if that could not be sent.
  bool announce_itself(const trap_address& source, std::uint32_t backend, std::uint16_t lifetime_s);
  // Announces every client again that is redirected from now on: guards may not have heard.
  void forget_told() { filter_.forget(); }
  const AnnounceCounts& counts() const { return counts_; }
  // Of addresses of this host.
  GuardHere& guard_here() { return guard_here_; }
  const GuardHere& guard_here() const { return guard_here_; }

private:
  struct Guard {
    Secret secret;
    trap_keyring announce_keys = {};
  };

  Announcer(const ServerConfig& config, const ServerPlan& plan, const Secret& master);
  void learn(const ServerPlan& plan, const Secret& master);
  static int on_record(void* self, void* data, std::size_t bytes);
  struct Told {
    Announcement announcement;
    const trap_keyring* keys; // of the guard that is told
  };
  // Empty for a record written before the configuration changed.
  std::optional<Told> told_of(const trap_redirected& record, const trap_clock_anchor& now) const;
  void take(const trap_redirected& record);
  void send_waiting();
  void send(const Announcement& announcement, const trap_keyring& keys);
  void note_failure(const Endpoint& backend, int error_number);

  const ServerPlan* plan_;
  bool experimental_kind_;
  std::map<std::string, Guard> guards_;
  std::map<std::uint32_t, trap_address> sources_; // by service slot: the public address
  AnnounceFilter filter_;
  AnnounceQueue queue_;
  AnnounceCounts counts_;
  GuardHere guard_here_;
  Fd raw_v4_;
  Fd raw_v6_;
  Fd look_again_;
  ring_buffer* ring_ = nullptr;
  unsigned budget_ = 0;
  std::uint64_t warned_ns_ = 0;
};

} // namespace trap::server
