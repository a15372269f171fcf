// SPDX-License-Identifier: Apache-2.0
// Writes a corpus from what the tests have already: trap_fuzz_seeds NAME FOLDER. Frames come from
// the BPF fixtures that have no variables in their packets, whole and cut; option areas from the
// walked vectors; configurations from the examples.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "runtime/packet/packet_text.h"
#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::size_t longest_seed =
    4096; // what fuzzers try first; behind its headers a frame is not looked at

class Corpus {
public:
  void write(const std::filesystem::path& folder) const {
    std::filesystem::create_directories(folder);
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().filename().string().starts_with("seed-")) // of an earlier run
        std::filesystem::remove(entry.path());
    }
    int count = 0;
    for (const Bytes& bytes : all_) {
      std::ofstream file(folder / ("seed-" + std::to_string(count++)), std::ios::binary);
      file.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    }
  }

  void add(const std::string& text) { add(Bytes(text.begin(), text.end())); }
  void add(const Bytes& bytes) { all_.push_back(bytes); }
  const std::vector<Bytes>& all() const { return all_; }

private:
  std::vector<Bytes> all_;
};

void add_packet(Corpus& corpus, const Json& step, const TestConstants& constants) {
  if (!step.contains("packet") || step["packet"].dump().find("${") != std::string::npos)
    return;
  for (const int family : {4, 6}) {
    for (const int tags : {0, 1, 2}) {
      Json packet = step["packet"];
      packet["vlan"] = tags;
      const Bytes frame = build_packet(packet, family, constants);
      if (frame.size() > longest_seed)
        continue;
      corpus.add(frame);
      for (const std::size_t cut : {frame.size() / 3, frame.size() / 2, frame.size() - 1})
        corpus.add(Bytes(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(cut)));
    }
  }
}

void write_packets(Corpus& corpus) {
  const TestConstants constants;
  for (const auto& file : std::filesystem::recursive_directory_iterator(TRAP_TEST_FIXTURES)) {
    if (file.path().extension() != ".json")
      continue;
    for (const Json& fixture : read_json(file.path().string())) {
      add_packet(corpus, fixture, constants);
      for (const Json& step : fixture.value("steps", Json::array()))
        add_packet(corpus, step, constants);
    }
  }
}

void write_options(Corpus& corpus) {
  const Json vectors = read_json("options.json");
  for (const Json& walked : vectors["walked"]) {
    for (const std::uint8_t family : {0, 1}) {
      Bytes bytes = read_hex(walked["area"].get<std::string>());
      bytes.insert(bytes.begin(), family);
      corpus.add(bytes);
    }
  }
}

// Linux, FreeBSD, Windows and OpenBSD; each whole, and with each byte damaged.
void write_syn_options(Corpus& corpus) {
  for (const char* const layout :
       {"020405b40402080a000010e10000000001030307", "020405b4010303060402080a000010e100000000",
        "020405b40103030801010402", "020405b401010402010303060101080a000010e100000000"}) {
    const Bytes whole = read_hex(layout);
    corpus.add(whole);
    for (std::size_t at = 0; at < whole.size(); at++) {
      for (const std::uint8_t value : {0, 1, 15, 255}) {
        Bytes damaged = whole;
        damaged[at] = value;
        corpus.add(damaged);
      }
    }
  }
}

// The examples that are installed, for each part, whole and one line each.
void write_config(Corpus& corpus) {
  std::uint8_t part = 0;
  for (const char* const name : {"server", "guard", "client"}) {
    std::ifstream file(std::string(TRAP_EXAMPLES) + "/" + name + ".toml");
    std::string all(1, static_cast<char>(part));
    for (std::string line; std::getline(file, line); all += line + "\n") {
      if (line.starts_with("#") && line.find('=') != std::string::npos)
        line.erase(0, line.find_first_not_of("# ")); // what an operator would switch on
      corpus.add(std::string(1, static_cast<char>(part)) + line + "\n");
    }
    corpus.add(all);
    part++;
  }
  corpus.add(std::string("\0interfaces = [\"eth0\"]\n[[service]]\nname = \"web\"\naddresses = "
                         "[\"203.0.113.10:80\", \"[2001:db8::1]:80\"]\nunaware = \"serve\"\n"
                         "[[service.policy]]\nprefixes = [\"192.0.2.0/24\"]\naction = \"deny\"\n",
                         177));
}

void write_prefixes(Corpus& corpus) {
  for (const char* const text :
       {"192.0.2.0/24", "192.0.2.1", "0.0.0.0/0", "2001:db8::/48", "2001:db8::1", "::/0",
        "::ffff:192.0.2.0/120", "255.255.255.255/32", "fe80::1%eth0", "10.0.0.0/08",
        "# a comment\n\n192.0.2.0/24 # another\r\n2001:db8:1::/48\n\t198.51.100.7\n"})
    corpus.add(std::string(text));
}

void write_requests(Corpus& corpus) {
  for (const char* const text :
       {"GET /status HTTP/1.1\r\nHost: trap\r\n\r\n", "GET /metrics HTTP/1.0\r\n\r\n",
        "POST /explain?direction=out HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /reload HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "POST /backend/drain/web/192.0.2.1%3A80 HTTP/1.1\r\nContent-Length: 000\r\n\r\n",
        "GET /%2e%2e/%00 HTTP/1.1\r\nRange: bytes=0-\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\nHost: b\n\n", "\r\nGET  / HTTP/1.1\r\n a\r\n\r\n"})
    corpus.add(std::string(text));
}

// Lines that the frames of the fixtures are shown as, and some of the frames.
void write_packet_texts(Corpus& corpus) {
  Corpus frames;
  write_packets(frames);
  std::map<std::string, Bytes> lines;
  for (const Bytes& frame : frames.all())
    lines[format_packet(frame)] = frame;
  for (const auto& [line, frame] : lines) {
    Bytes shown = frame;
    shown.insert(shown.begin(), 1);
    corpus.add(std::string(1, '\0') + line);
    corpus.add(shown);
  }
}

void put_words(Bytes& bytes, std::initializer_list<std::uint32_t> words) {
  for (const std::uint32_t word : words) {
    for (int shift = 0; shift < 32; shift += 8)
      bytes.push_back(static_cast<std::uint8_t>(word >> shift));
  }
}

// A pcap and a pcapng file of one frame, and the first with other link layers and lengths.
void write_captures(Corpus& corpus) {
  const Bytes frame = build_packet(Json::parse(R"({"tcp": {}})"), 4, TestConstants());
  const auto bytes = static_cast<std::uint32_t>(frame.size());
  for (const std::uint32_t link_layer : {1, 0, 101, 113, 276}) {
    for (const std::uint32_t captured :
         {bytes, bytes - 20, std::uint32_t{0}, std::uint32_t{1} << 31}) {
      Bytes file;
      put_words(file, {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 262144, link_layer, 1, 2, captured, bytes});
      file.insert(file.end(), frame.begin(), frame.end());
      corpus.add(file);
    }
  }
  const std::uint32_t padded = (bytes + 3) / 4 * 4;
  Bytes file;
  put_words(file, {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28, 1, 20, 1, 262144, 20,
                   6, 32 + padded, 0, 0, 0, bytes, bytes});
  file.insert(file.end(), frame.begin(), frame.end());
  file.resize(file.size() + padded - bytes);
  put_words(file, {32 + padded});
  corpus.add(file);
}

const std::map<std::string, void (*)(Corpus&)> writers = {
    {"packet", write_packets},           {"options", write_options},
    {"syn_options", write_syn_options},  {"config", write_config},
    {"prefixes", write_prefixes},        {"request", write_requests},
    {"packet_text", write_packet_texts}, {"pcap", write_captures}};

} // namespace
} // namespace trap::test

int main(int argc, char** argv) {
  const auto writer = argc == 3 ? trap::test::writers.find(argv[1]) : trap::test::writers.end();
  if (writer == trap::test::writers.end()) {
    std::fprintf(stderr, "usage: %s NAME FOLDER; names:", argv[0]);
    for (const auto& [name, write] : trap::test::writers)
      std::fprintf(stderr, " %s", name.c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  try {
    trap::test::Corpus corpus;
    writer->second(corpus);
    corpus.write(argv[2]);
    std::printf("%zu seeds\n", corpus.all().size());
    return corpus.all().empty() ? 1 : 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
}
