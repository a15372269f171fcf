// SPDX-License-Identifier: Apache-2.0
// A raw TCP socket that sees one local port only.
#pragma once

#include <cstdint>

#include "protocol/address.h"

namespace trap {

// Has the raw TCP socket take only segments to `port`, in host order. -1 and errno if the kernel
// refuses.
int let_in_port(int fd, trap_family family, std::uint16_t port);

} // namespace trap
