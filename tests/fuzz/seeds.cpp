// SPDX-License-Identifier: Apache-2.0
// Writes a corpus from what the tests have already: trap_fuzz_seeds packet|options|syn_options
// FOLDER. Frames come from the BPF fixtures that have no variables in their packets, whole and cut;
// option areas from the walked vectors.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/support/packet.h"

namespace trap::test {
namespace {

constexpr std::size_t longest_seed =
    4096; // what fuzzers try first; behind its headers a frame is not looked at

class Corpus {
public:
  explicit Corpus(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
  }

  void add(const Bytes& bytes) {
    std::ofstream file(folder_ / ("seed-" + std::to_string(count_++)), std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  int count() const { return count_; }

private:
  std::filesystem::path folder_;
  int count_ = 0;
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

} // namespace
} // namespace trap::test

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s packet|options|syn_options FOLDER\n", argv[0]);
    return 2;
  }
  try {
    trap::test::Corpus corpus(argv[2]);
    if (std::string(argv[1]) == "options")
      trap::test::write_options(corpus);
    else if (std::string(argv[1]) == "syn_options")
      trap::test::write_syn_options(corpus);
    else
      trap::test::write_packets(corpus);
    std::printf("%d seeds\n", corpus.count());
    return corpus.count() > 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
}
