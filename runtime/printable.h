// SPDX-License-Identifier: Apache-2.0
// Text from files, clients and command lines as one line that no terminal and no log misreads.
#pragma once

#include <string>
#include <string_view>

namespace trap {

// `text` with control characters, line ends among them, characters that change the direction of
// writing, and bytes that are no UTF-8 as `\n`, `\t`, `\x1b` or `\u202e`. Other text is unchanged.
std::string printable(std::string_view text);

// The same for nothing but bytes that are no UTF-8, where a format has escapes of its own.
std::string as_utf8(std::string_view text);

} // namespace trap
