// SPDX-License-Identifier: Apache-2.0
// Sees the packets of one TCP port in this network namespace, as a packet socket would, with a BPF
// program in its place (docs/adr/0047): daemons may do so with the rights that they have anyway.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/address.h"
#include "runtime/kernel/program.h"
#include "runtime/result.h"

struct bpf_link;
struct ring_buffer;
struct trap_wire_watch;

namespace trap {

class WireWatch {
public:
  // A packet from its IP header on; as much of it as a handshake's segments have.
  struct Sighting {
    bool outgoing = false;
    std::int64_t at_ns = 0; // Unix time
    std::vector<std::uint8_t> packet = {};
  };

  // Loads the program, which costs the host nothing before begin().
  static Result<std::unique_ptr<WireWatch>> make();

  ~WireWatch();
  WireWatch(const WireWatch&) = delete;
  WireWatch& operator=(const WireWatch&) = delete;

  // Watches from now on, in place of what was watched before. `port`, in host order, is of either
  // side. Outgoing packets are seen behind tc, incoming ones before it.
  enum class Ways { out, both };
  Result<void> begin(trap_family family, std::uint16_t port, Ways ways);
  void end();

  // Readable while take() would return something.
  int event_fd() const;
  std::vector<Sighting> take();

private:
  struct Free {
    void operator()(ring_buffer* ring) const;
    void operator()(bpf_link* link) const;
  };

  WireWatch() = default;

  Program<trap_wire_watch> program_;
  std::unique_ptr<ring_buffer, Free> ring_;
  std::unique_ptr<bpf_link, Free> in_, out_;
  std::int64_t to_unix_ns_ = 0; // from CLOCK_MONOTONIC
  std::vector<Sighting> seen_;
};

} // namespace trap
