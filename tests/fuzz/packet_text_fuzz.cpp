// SPDX-License-Identifier: Apache-2.0
// Any text as a packet in one line, and any bytes as a frame to be shown as one (the first byte
// chooses): a line is refused by one line, or leads to a frame whose line makes the same frame.
#include "runtime/packet/packet_text.h"
#include "tests/fuzz/text_fuzz.h"

using namespace trap;

static void check_line(const std::string& text) {
  const auto frame = parse_packet(text);
  if (!frame) {
    fuzz::require_message(frame.error().message);
    return;
  }
  const std::string line = format_packet(*frame);
  fuzz::require_line(line);
  if (!text.starts_with("tcp")) // of other packets only some is shown
    return;
  const auto again = parse_packet(line);
  fuzz::require(static_cast<bool>(again));
  fuzz::require(again->size() == frame->size());
  constexpr std::size_t mac_bytes = 12;
  for (std::size_t i = mac_bytes; i < frame->size(); i++)
    fuzz::require((*again)[i] == (*frame)[i]);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1)
    return 0;
  if (data[0] % 2 == 0)
    check_line(std::string(fuzz::text_of(data + 1, size - 1)));
  else
    fuzz::require_line(format_packet(Frame(data + 1, data + size)));
  return 0;
}
