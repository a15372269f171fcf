// SPDX-License-Identifier: Apache-2.0
// The first header of an interface's packets, by the type of its link layer.
#pragma once

#include <optional>

namespace trap {

enum class Framing { ethernet, ip };

// `type`: ARPHRD_*. Nothing for a link layer that the programs cannot read.
std::optional<Framing> framing_of(unsigned short type);

const char* framing_name(Framing framing); // "ethernet", "ip"

} // namespace trap
