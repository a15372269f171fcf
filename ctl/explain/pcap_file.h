// SPDX-License-Identifier: Apache-2.0
// Frames of a capture file, classic pcap or pcapng. libpcap stays inside pcap_file.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/packet/packet_text.h"
#include "runtime/result.h"

namespace trap::ctl {

class PcapFile {
public:
  // Of Ethernet; another link layer is an error. "-" is the standard input.
  static Result<PcapFile> open(const std::string& path);

  PcapFile(PcapFile&&) noexcept;
  PcapFile& operator=(PcapFile&&) noexcept;
  ~PcapFile();

  // The next frame; empty at the end. A frame that was cut off by the capture is filled up with
  // zeros: no verdict depends on payload.
  Result<std::optional<Frame>> next();

private:
  struct Capture;
  PcapFile(std::unique_ptr<Capture> capture, std::string path);

  std::unique_ptr<Capture> capture_;
  std::string path_;
};

} // namespace trap::ctl
