// SPDX-License-Identifier: Apache-2.0
// Frames with a SYN that are odd below or in TCP's header: Ethernet, IP headers, addresses, flags,
// checksums, fragments. Each says whether TRAP may answer otherwise than the stack; README's table
// of an attack's effects says the same to readers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/hosts/addresses.h"
#include "lab/matrix/conversation.h"

namespace trap::lab {

enum class OddFate {
  equal,      // whatever the stack does
  answered,   // by TRAP, and not by the stack
  unanswered, // by TRAP, but by the stack
};

struct OddFrame {
  std::string name = {};
  std::function<void(Ethernet&, Segment&)> describe = {}; // from a usual SYN
  std::function<void(Bytes&)> alter = {};                 // the frame that was built
  OddFate fate = OddFate::equal;
  std::optional<OddFate> fate_at_tc =
      {}; // where that is another: the first tag is in metadata there
  std::vector<std::string_view> differs = {}; // fields of the answers that may, and do
};

std::vector<OddFrame> odd_frames(Family family);

// What comes back, with nothing of the connection left behind.
Fields answer_to(const Wire& wire, const OddFrame& odd, const Ethernet& ethernet,
                 const Endpoint& client, const Endpoint& server);

} // namespace trap::lab
