// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without libFuzzer, as an ordinary test: replay MUTATIONS PATH... over files
// and folders of files, and over as many inputs made from each by chance that is the same every
// time. An input that ends the program is printed in hexadecimal.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

// What a sanitizer finds ends by a signal too.
extern "C" const char* __asan_default_options() {
  return "abort_on_error=1:handle_abort=0";
}

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes at_hand;

void print_input(int) {
  std::fprintf(stderr, "the input, in hexadecimal: ");
  for (const std::uint8_t byte : at_hand)
    std::fprintf(stderr, "%02x", byte);
  std::fprintf(stderr, "\n");
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

void run(const Bytes& bytes) {
  at_hand = bytes;
  // Memory that ends exactly where the input does, so that a sanitizer sees the first byte too
  // many.
  const auto copy = std::make_unique<std::uint8_t[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), copy.get());
  LLVMFuzzerTestOneInput(copy.get(), bytes.size());
}

void read(const std::filesystem::path& path, std::vector<Bytes>& inputs) {
  std::ifstream file(path, std::ios::binary);
  inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

class Mutator {
public:
  explicit Mutator(const std::vector<Bytes>& inputs) : inputs_(inputs) {}

  Bytes next(Bytes bytes) {
    for (std::size_t changes = 1 + below(4); changes > 0; changes--)
      change(bytes);
    return bytes;
  }

private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  auto place(Bytes& bytes) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size() + 1));
  }

  void change(Bytes& bytes) {
    static constexpr std::uint8_t common[] = {0,   1,   '\n', ' ', '"', '[', ']', '{', '=',
                                              '.', ':', '/',  '-', '0', '9', 127, 128, 255};
    const auto at = below(bytes.size());
    switch (bytes.empty() ? 3 : below(6)) {
    case 0:
      bytes[at] ^= static_cast<std::uint8_t>(1U << below(8));
      break;
    case 1:
      bytes[at] = common[below(std::size(common))];
      break;
    case 2:
      bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                  bytes.begin() +
                      static_cast<std::ptrdiff_t>(
                          at + 1 + below(std::min<std::size_t>(bytes.size() - at, 16))));
      break;
    case 3:
      bytes.insert(place(bytes), 1 + below(3), common[below(std::size(common))]);
      break;
    case 4:
      bytes.resize(at);
      break;
    default: {
      const Bytes& other = inputs_[below(inputs_.size())];
      const std::size_t from = below(other.size());
      const std::size_t count = std::min<std::size_t>(below(64), other.size() - from);
      const auto first = other.begin() + static_cast<std::ptrdiff_t>(from);
      bytes.insert(place(bytes), first, first + static_cast<std::ptrdiff_t>(count));
    }
    }
  }

  const std::vector<Bytes>& inputs_;
  std::mt19937_64 random_;
};

} // namespace

int main(int argc, char** argv) {
  std::vector<Bytes> inputs;
  for (int i = 2; i < argc; i++) {
    if (!std::filesystem::is_directory(argv[i])) {
      read(argv[i], inputs);
      continue;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
      files.push_back(entry.path());
    std::ranges::sort(files); // the same order everywhere
    for (const auto& file : files)
      read(file, inputs);
  }
  std::signal(SIGABRT, print_input);
  const unsigned long mutations = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 0;
  Mutator mutator(inputs);
  for (const Bytes& input : inputs) {
    run(input);
    for (unsigned long i = 0; i < mutations; i++)
      run(mutator.next(input));
  }
  std::printf("%zu inputs, %lu made from each\n", inputs.size(), mutations);
  return inputs.empty() ? 1 : 0;
}
