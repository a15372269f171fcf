// SPDX-License-Identifier: Apache-2.0
// Any bytes as a capture file: its frames come to an end, or to an error of one line that names the
// file.
#include "ctl/explain/pcap_file.h"
#include "tests/fuzz/text_fuzz.h"

using namespace trap;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(fuzz::text_of(data, size));
  auto capture = ctl::PcapFile::open(file.path());
  if (!capture) {
    fuzz::require_message(capture.error().message);
    return 0;
  }
  for (std::size_t frames = 0;; frames++) {
    fuzz::require(frames <= size); // each takes some bytes of the file
    const auto frame = capture->next();
    if (!frame)
      return fuzz::require_message(frame.error().message), 0;
    if (!*frame)
      return 0;
    fuzz::require_line(format_packet(**frame));
  }
}
