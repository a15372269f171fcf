// SPDX-License-Identifier: Apache-2.0
// Any text as a file of prefixes, and as one prefix: it is refused by one line, or each prefix,
// written and read again, is the same.
#include "runtime/config/prefix.h"
#include "server/daemon/config/prefix_file.h"
#include "tests/fuzz/text_fuzz.h"

using namespace trap;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto lines = server::parse_prefixes(text, "prefixes");
  if (!lines)
    fuzz::require_message(lines.error().message);
  for (std::size_t i = 0; lines && i < lines->size(); i++)
    fuzz::require((*lines)[i].line >= (i == 0 ? 1 : (*lines)[i - 1].line + 1));
  const auto prefix = parse_prefix(text);
  if (!prefix) {
    fuzz::require_message(prefix.error().message);
    return 0;
  }
  fuzz::require(prefix->bits <= 128 && covers(*prefix, prefix->address));
  const auto again = parse_prefix(format_prefix(*prefix));
  fuzz::require(again && *again == *prefix);
  return 0;
}
