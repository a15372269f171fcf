// SPDX-License-Identifier: Apache-2.0
// The service that a knock is for, as its user names it.
#pragma once

#include <string>

#include "runtime/packet/handshake.h"

namespace trap::ctl {

// ADDRESS:PORT, [ADDRESS]:PORT or NAME:PORT. A name stands for the first address that the host's
// resolver gives, as connect() would try it.
Result<Endpoint> find_service(const std::string& text);

} // namespace trap::ctl
