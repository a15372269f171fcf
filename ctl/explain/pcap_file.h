// SPDX-License-Identifier: Apache-2.0
// Frames of a capture file: pcap of either byte order and resolution, or pcapng with any number of
// interfaces.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "runtime/packet/packet_text.h"
#include "runtime/result.h"

namespace trap::ctl {

class PcapFile {
public:
  // "-" is the standard input.
  static Result<PcapFile> open(const std::string& path);

  PcapFile(PcapFile&&) noexcept;
  PcapFile& operator=(PcapFile&&) noexcept;
  ~PcapFile();

  // The next frame, as one of Ethernet (ctl/explain/link_layer.h); empty at the end. A frame that
  // was cut off by the capture is filled up with zeros: no verdict depends on payload. One that was
  // cut off within its headers is left out, and in place of the end there is an error then.
  Result<std::optional<Frame>> next();

  // Of the last frame in the file, from 1.
  std::uint64_t number() const;

private:
  struct Capture;
  explicit PcapFile(std::unique_ptr<Capture> capture);

  std::unique_ptr<Capture> capture_;
};

} // namespace trap::ctl
