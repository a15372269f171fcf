// SPDX-License-Identifier: Apache-2.0
// The lab's hosts and how they are connected: every host has one link to the router, and the router
// has no way out.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "lab/hosts/addresses.h"
#include "lab/hosts/host.h"
#include "runtime/result.h"

namespace trap::lab {

// The lab, up. The destructor takes everything down again.
class Topology {
public:
  static Result<Topology> build();
  Topology(Topology&& other) noexcept;
  Topology& operator=(Topology&&) = delete;
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;
  ~Topology();

  [[nodiscard]] const Host& host(std::string_view name) const { return hosts_.find(name)->second; }

  // A veth delivers what an XDP program sends back only if its other end has one, too: gives the
  // router's end towards `host` one that passes everything, or takes it away, which gives the link
  // its segmentation offload back.
  [[nodiscard]] Result<void> attach_pass_program(std::string_view host) const;
  [[nodiscard]] Result<void> detach_pass_program(std::string_view host) const;

private:
  Topology() = default;
  Result<void> create_hosts();
  Result<void> connect();
  bool owner_ = true;
  std::map<std::string, Host, std::less<>> hosts_;
};

// Gives an interface of the host an XDP program that passes everything. The other end of a veth
// delivers what an XDP program sends back there only then.
[[nodiscard]] Result<void> pass_frames(const Host& host, std::string_view interface);

// The drawing that the demo opens with.
std::string_view topology_drawing();

} // namespace trap::lab
