// SPDX-License-Identifier: Apache-2.0
// `trapctl explain` against running daemons: a whole handshake, from SYN to ticket, without a
// packet sent; captures; and what it says when it cannot.
#include <fstream>
#include <regex>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/daemons/daemon_host.h"

namespace trap::lab {
namespace {

using nlohmann::json;

constexpr DaemonKind server = DaemonKind::server, guard = DaemonKind::guard,
                     client = DaemonKind::client;
constexpr std::string_view to_public = "tcp 203.0.113.2:4242 > 203.0.113.10:80";
constexpr std::string_view to_service = "tcp 203.0.113.2:4242 > 198.51.100.20:80";

// A frame of Ethernet with a SYN of to_public, of `ip_bytes` by its header; its IPv4 checksum is
// right.
std::string syn_frame(std::uint16_t ip_bytes) {
  std::string frame("\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0"
                    "\x45\0\0\0\0\0\x40\0\x40\x06\0\0\xcb\0\x71\x02\xcb\0\x71\x0a"
                    "\x10\x92\0\x50\0\0\0\x07\0\0\0\0\x50\x02\x04\0\xa1\xb2\0\0",
                    54);
  const auto put = [&](std::size_t at, std::uint32_t value) {
    frame[at] = static_cast<char>(value >> 8);
    frame[at + 1] = static_cast<char>(value);
  };
  put(16, ip_bytes);
  std::uint32_t sum = 0;
  for (std::size_t at = 14; at < 34; at += 2)
    sum += static_cast<std::uint32_t>(static_cast<std::uint8_t>(frame[at]) << 8U |
                                      static_cast<std::uint8_t>(frame[at + 1]));
  sum = (sum & 0xffffU) + (sum >> 16);
  put(24, ~(sum + (sum >> 16)) & 0xffffU);
  return frame;
}

struct Captured {
  std::string bytes;
  std::uint32_t length; // on the wire
};

// A classic capture file, little-endian.
std::string capture(std::uint32_t link_type, const std::vector<Captured>& packets) {
  std::string file;
  const auto put = [&](std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
      file += static_cast<char>(value >> (8 * i));
  };
  for (const auto& [value, bytes] :
       {std::pair{0xa1b2c3d4U, 4}, {2U, 2}, {4U, 2}, {0U, 4}, {0U, 4}, {65535U, 4}, {link_type, 4}})
    put(value, bytes);
  for (const Captured& packet : packets) {
    put(0, 8);
    put(packet.bytes.size(), 4);
    put(packet.length, 4);
    file += packet.bytes;
  }
  return file;
}

// The first group of `pattern` in a text, "" if there is none.
std::string extract(const std::string& text, const std::string& pattern) {
  std::smatch found;
  return std::regex_search(text, found, std::regex{pattern}) ? found[1].str() : "";
}

class Explaining {
public:
  Explaining(Scene& scene, DaemonHost& host) : scene_(scene), host_(host) {}

  void play() {
    for (const DaemonKind kind : daemon_kinds)
      if (!host_.start(kind))
        return;
    const std::string before = counters();
    const std::string ticket = handshake();
    at_the_guard(ticket);
    odd_packets();
    scene_.equal(before, counters(), "nothing was counted");
    scene_.equal("0 []",
                 fmt::format("{} {}", host_.status(guard)["flows"].dump(),
                             host_.status(client)["redirects"].dump()),
                 "and nothing remembered");
    captures();
    complaints();
  }

private:
  Finished explain(DaemonKind kind, std::vector<std::string> words) {
    words.insert(words.begin(), "explain");
    return host_.control(kind, std::move(words));
  }

  // A field of the explanation of a packet.
  std::string told(DaemonKind kind, const char* field, const std::string& packet,
                   std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"explain", "--packet", packet});
    const json explanation = host_.control_json(kind, std::move(more));
    return explanation.is_object() ? text_of(explanation.value(field, json{})) : "no JSON";
  }

  // Of all three, without packets that hosts send by themselves.
  std::string counters() {
    json all;
    for (const DaemonKind kind : daemon_kinds) {
      json of_part = host_.status(kind)["counters"];
      of_part.erase("pass-other");
      all.push_back(of_part);
    }
    return all.dump();
  }

  // Returns the ticket of the redirect, in hexadecimal.
  std::string handshake() {
    const std::string syn = fmt::format("{} SYN seq=7 mss=1460", to_public);
    scene_.equal("reply-syn-ack", told(server, "verdict", syn), "SYN: the verdict");
    scene_.equal("web at 203.0.113.10:80", told(server, "service", syn), "SYN: the service");
    const std::string syn_ack = told(server, "answer", syn);
    scene_.check(count_lines(syn_ack, "^tcp 203.0.113.10:80 > 203.0.113.2:4242 SYN ACK "
                                      "seq=[0-9]+ ack=8 window=0 offer$") == 1,
                 "SYN: the answer", syn_ack);
    const std::string sequence = extract(syn_ack, " seq=([0-9]+) ");
    const auto cookie = static_cast<std::uint32_t>(std::strtoul(sequence.c_str(), nullptr, 10));
    const std::string completing = fmt::format("{} ACK seq=8 ack={} accept", to_public, cookie + 1);
    scene_.equal("reply-redirect", told(server, "verdict", completing),
                 "completing ACK: the verdict");
    const std::string because = told(server, "because", completing);
    scene_.check(count_lines(because, "backend 198.51.100.2[01]:80 for 10 min") == 1,
                 "completing ACK: the backend is named", because);
    scene_.equal("drop-bad-cookie",
                 told(server, "verdict", fmt::format("{} ACK seq=8 ack={}", to_public, cookie)),
                 "completing ACK with another cookie");
    const std::string redirect =
        extract(told(server, "answer", completing), " redirect=([0-9a-f]*)");
    return redirect.size() >= 34 ? redirect.substr(10, 24) : "";
  }

  void at_the_guard(const std::string& ticket) {
    const std::string invited = fmt::format("{} SYN ticket={}", to_service, ticket);
    scene_.equal("pass-ticket", told(guard, "verdict", invited),
                 "the ticket of the answer lets in at the guard");
    const std::string because = told(guard, "because", invited);
    scene_.check(count_lines(because, "ticket of epoch [0-9]+, tag 0, good for (9|10) min") == 1,
                 "and the guard tells how long", because);
    scene_.equal(
        "drop-ticket-mac",
        told(guard, "verdict", "tcp 203.0.113.3:4242 > 198.51.100.20:80 SYN ticket=" + ticket),
        "with another source it does not");
    const std::string syn = fmt::format("{} SYN", to_service);
    scene_.equal("drop-uninvited", told(guard, "verdict", syn), "no ticket");
    scene_.equal("no socket", told(guard, "socket", fmt::format("{} ACK", to_service)),
                 "no flow: the stack was asked");
    const std::string words = explain(guard, {"--packet", syn}).output;
    scene_.check(count_lines(words, "^trap-guard: drop-uninvited: ") == 1 &&
                     count_lines(words, "^  because") == 1 && count_lines(words, "^  packet ") == 1,
                 "in words", words);
  }

  void odd_packets() {
    const std::string syn = fmt::format("{} SYN", to_public);
    scene_.equal("drop-fragment", told(server, "verdict", syn + " fragment vlan=7 vlan=8"),
                 "a fragment in two VLANs");
    scene_.equal("drop-bad-ip-checksum", told(server, "verdict", syn + " bad-checksum"),
                 "a damaged checksum");
    scene_.equal("pass-other",
                 told(server, "verdict", "tcp 203.0.113.2:4242 > 203.0.113.10:81 SYN"),
                 "another port");
    scene_.equal("pass-syn-remembered", told(client, "verdict", syn, {"--direction", "out"}),
                 "client, outward");
    scene_.equal(
        "pass-other",
        told(client, "verdict", "tcp 203.0.113.10:80 > 203.0.113.2:4242 SYN ACK seq=1 ack=8 offer"),
        "client, inward");
  }

  std::string write_file(std::string_view name, const std::string& bytes) {
    const auto path = host_.host().directory() / name;
    scene_.done(write_text(path, bytes), fmt::format("{} is written", name));
    return path.string();
  }

  // The SYN twice, the second cut off by the snap length.
  void captures() {
    const std::string two = capture(1, {{syn_frame(40), 54}, {syn_frame(140), 154}});
    const std::string path = write_file("two.pcap", two);
    std::string verdicts;
    std::istringstream lines{explain(server, {"--pcap", path, "--json"}).output};
    for (std::string line; std::getline(lines, line);) {
      const json one = json::parse(line, nullptr, false);
      if (one.is_object())
        verdicts += fmt::format("{} {} ", one.value("number", 0), one.value("verdict", ""));
    }
    scene_.equal("1 reply-syn-ack 2 reply-syn-ack ", verdicts, "capture: each packet");
    Command command =
        host_.host().command({(program_directory() / "trapctl").string(), "explain", "--socket",
                              host_.daemon(server).control_socket().string(), "--pcap", "-"});
    command.input = two;
    const auto said = run(command, std::chrono::seconds{10});
    scene_.check(said && count_lines(said->output, "^packet [12]: trap-server: reply-syn-ack") == 2,
                 "capture from stdin", said ? said->output + said->errors : said.error().message);
    const auto complains = [&](const std::string& file, const std::string& pattern,
                               std::string_view what) {
      host_.expect_complaint(explain(server, {"--pcap", file}), 2, pattern, what);
    };
    complains(write_file("short.pcap", two.substr(0, 90)), "short.pcap: damaged",
              "capture cut off");
    complains(write_file("radio.pcap", capture(127, {{syn_frame(40), 54}})),
              "radio.pcap: its link layer is number 127, which is not read",
              "capture of another link layer");
    complains(master_key_file(), "master.key: cannot read it: it is neither pcap nor pcapng",
              "no capture");
    const std::string raw = write_file("raw.pcap", capture(101, {{syn_frame(40).substr(14), 40}}));
    scene_.check(count_lines(explain(server, {"--pcap", raw}).output,
                             "^packet 1: trap-server: reply-syn-ack") == 1,
                 "capture without Ethernet", explain(server, {"--pcap", raw}).output);
    complains((host_.host().directory() / "none.pcap").string(),
              "none.pcap: cannot read it: .*No such file", "capture that is not there");
    host_.expect_complaint(
        explain(server, {"--packet", fmt::format("{} SYN", to_public), "--pcap", path}), 2,
        "either --packet or --pcap", "a packet and a capture");
  }

  void complaints() {
    host_.expect_complaint(explain(server, {"--packet", fmt::format("{} SYNN", to_public)}), 2,
                           "\"SYNN\" is not understood", "packet: malformed");
    host_.expect_complaint(explain(server, {}), 2, "either --packet or --pcap", "packet: none");
    host_.expect_complaint(
        host_.run_program("trapctl", {"explain", "--part", "server", "--socket",
                                      (host_.host().directory() / "none.sock").string(), "--packet",
                                      fmt::format("{} SYN", to_public)}),
        3, "does not run", "explain, no daemon there");
  }

  Scene& scene_;
  DaemonHost& host_;
};

void explain(Scene& scene) {
  if (const auto host = DaemonHost::make(scene))
    Explaining{scene, *host}.play();
}

const Registration register_explain{{
    .name = "explain",
    .goal = "trapctl explain follows a handshake through all parts and changes nothing",
    .plan = daemons_plan(),
    .play = explain,
}};

} // namespace
} // namespace trap::lab
