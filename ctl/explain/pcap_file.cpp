// SPDX-License-Identifier: Apache-2.0
#include "ctl/explain/pcap_file.h"

#include <algorithm>

#include <fmt/core.h>
#include <pcap/pcap.h>

namespace trap::ctl {
namespace {

constexpr std::uint32_t frame_max_bytes = 65536 + 64; // the largest IP packet, and its link layer

std::string link_layer_name(int type) {
  const char* name = pcap_datalink_val_to_name(type);
  return name ? name : fmt::format("number {}", type);
}

} // namespace

struct PcapFile::Capture {
  explicit Capture(pcap_t* handle) : pcap(handle) {}
  ~Capture() { pcap_close(pcap); }

  pcap_t* pcap;
};

PcapFile::PcapFile(std::unique_ptr<Capture> capture, std::string path)
    : capture_(std::move(capture)), path_(std::move(path)) {}
PcapFile::PcapFile(PcapFile&&) noexcept = default;
PcapFile& PcapFile::operator=(PcapFile&&) noexcept = default;
PcapFile::~PcapFile() = default;

Result<PcapFile> PcapFile::open(const std::string& path) {
  char reason[PCAP_ERRBUF_SIZE] = {};
  pcap_t* pcap = pcap_open_offline(path.c_str(), reason);
  if (!pcap)
    return Error{fmt::format("capture file {}: cannot read it: {}", path, reason), ExitCode::usage};
  PcapFile file(std::make_unique<Capture>(pcap), path);
  const int type = pcap_datalink(pcap);
  if (type != DLT_EN10MB)
    return Error{fmt::format("capture file {}: its link layer is {}, not Ethernet: capture on one "
                             "interface (tcpdump -i INTERFACE -w FILE)",
                             path, link_layer_name(type)),
                 ExitCode::usage};
  return file;
}

Result<std::optional<Frame>> PcapFile::next() {
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  const int got = pcap_next_ex(capture_->pcap, &header, &bytes);
  if (got == PCAP_ERROR_BREAK)
    return std::optional<Frame>();
  if (got != 1)
    return Error{fmt::format("capture file {}: damaged: {}", path_, pcap_geterr(capture_->pcap)),
                 ExitCode::usage};
  Frame frame(bytes, bytes + header->caplen);
  frame.resize(std::clamp<std::uint32_t>(header->len, header->caplen,
                                         std::max(header->caplen, frame_max_bytes)));
  return std::optional(std::move(frame));
}

} // namespace trap::ctl
