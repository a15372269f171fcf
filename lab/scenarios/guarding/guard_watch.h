// SPDX-License-Identifier: Apache-2.0
// The guard's counts, and those of the stack behind it, while packets were sent to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "lab/scenarios/scene.h"
#include "lab/traffic/frame.h"

namespace trap::lab {

class GuardWatch {
public:
  static GuardWatch begin(Scene& scene);

  // Waits until the guard has counted `packets` since the beginning, ARP, neighbour discovery and
  // other ports apart, but two seconds at most. Returns how they were counted.
  Counters wait_for(std::uint64_t packets);

  // Checks that exactly these verdicts were counted so far, and that the stack received and sent no
  // segment and no fragment.
  void expect_only(const Counters& verdicts, std::string_view what);

  // The stack's counters of TCP segments and fragments that moved since the beginning.
  [[nodiscard]] Counters stack_moved() const;

private:
  explicit GuardWatch(Scene& scene) : scene_(&scene) {}
  Scene* scene_;
  Counters guard_before_, stack_before_;
};

// Sends frames over the router's link to the service's host; what cannot be sent is a failed check.
void send_frames_to_service(Scene& scene, const std::vector<Bytes>& frames, std::string_view what);
void send_to_service(Scene& scene, const std::vector<Segment>& segments, std::string_view what);

// The same, and then each of them was counted under `verdict`, and under no other.
void expect_verdict(Scene& scene, const std::vector<Segment>& segments, const std::string& verdict,
                    std::string_view what);

// A SYN from a host of the lab to the protected port.
Segment syn_from(std::string_view host, Family family);

} // namespace trap::lab
