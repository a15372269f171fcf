// SPDX-License-Identifier: Apache-2.0
// Advice on a native program that an interface does not take: what an operator can change, by the
// words of its driver. tests/kernels/cards.sh follows the advice on emulated cards.
#pragma once

#include <string>

namespace trap {

struct NativeRefusal {
  std::string interface;
  unsigned mtu = 0;   // 0: not known
  std::string reason; // the kernel's words; empty: it gave none
  std::string error;  // the error number's
};

// Cause and cure, without the interface's name in front.
std::string cure_of_refusal(const NativeRefusal& refusal);

} // namespace trap
