// SPDX-License-Identifier: Apache-2.0
// Functions that call each other share 512 bytes of stack. Linux 6.1 rounds the part of each up to
// 32 bytes, 6.18 to 16, so that a program which loads here may be refused there ("combined stack
// size of 2 calls is 544"). The verifier says how much each function has, the instructions who
// calls whom. It refuses a program after a million instructions; other kernels and compilers take
// up to four times as many as these, and a daemon starts the later for each.
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "tests/bpf/harness/object.h"

namespace trap::test {
namespace {

constexpr int stack_bytes = 512, rounded_to = 32;
constexpr long most_followed = 250'000;

class Calls {
public:
  explicit Calls(const bpf_program* program)
      : code_(bpf_program__insns(program), bpf_program__insn_cnt(program)), starts_{0} {
    for (std::size_t at = 0; at < code_.size(); at++) {
      if (is_call(code_[at]) || is_address_of_function(code_[at]))
        starts_.insert(target(at));
    }
  }

  std::size_t functions() const { return starts_.size(); }

  // The parts of the longest way down from the function that begins there, one after the other.
  std::vector<int> deepest(const std::vector<int>& bytes, std::size_t start = 0) const {
    std::vector<int> below;
    const auto next = starts_.upper_bound(start);
    for (std::size_t at = start; at < (next == starts_.end() ? code_.size() : *next); at++) {
      if (!is_call(code_[at]) && !is_address_of_function(code_[at]))
        continue;
      std::vector<int> way = deepest(bytes, target(at));
      if (sum(way) > sum(below))
        below = std::move(way);
    }
    const auto number = std::distance(starts_.begin(), starts_.find(start));
    const int part = std::max(bytes.at(static_cast<std::size_t>(number)), 1);
    below.insert(below.begin(), (part + rounded_to - 1) / rounded_to * rounded_to);
    return below;
  }

  static int sum(const std::vector<int>& parts) {
    int all = 0;
    for (const int part : parts)
      all += part;
    return all;
  }

private:
  static bool is_call(const bpf_insn& insn) {
    return insn.code == (BPF_JMP | BPF_CALL) && insn.src_reg == BPF_PSEUDO_CALL;
  }
  static bool is_address_of_function(const bpf_insn& insn) {
    return insn.code == (BPF_LD | BPF_IMM | BPF_DW) && insn.src_reg == BPF_PSEUDO_FUNC;
  }
  std::size_t target(std::size_t at) const {
    return static_cast<std::size_t>(static_cast<long>(at) + 1 + code_[at].imm);
  }

  std::span<const bpf_insn> code_;
  std::set<std::size_t> starts_;
};

// "stack depth 304+0+168" of a verifier's log: bytes of each function, in the order of the code.
std::vector<int> stack_depths(const std::string& log) {
  static const std::string words = "stack depth ";
  std::vector<int> depths;
  const std::size_t at = log.find(words);
  if (at == std::string::npos)
    return depths;
  std::istringstream rest(log.substr(at + words.size()));
  for (int depth = 0; rest >> depth; rest.ignore()) {
    depths.push_back(depth);
    if (rest.peek() != '+')
      break;
  }
  return depths;
}

// "processed 94449 insns" of a verifier's log; 0 if it does not say.
long followed(const std::string& log) {
  static const std::string words = "processed ";
  const std::size_t at = log.find(words);
  return at == std::string::npos ? 0 : std::stol(log.substr(at + words.size()));
}

std::string text_of(const std::vector<int>& parts) {
  std::string text;
  for (const int part : parts)
    text += (text.empty() ? "" : " + ") + std::to_string(part);
  return text;
}

std::vector<std::string> programs_of(const std::string& path) {
  std::vector<std::string> names;
  bpf_object* object = bpf_object__open(path.c_str());
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) names.emplace_back(bpf_program__name(program));
  bpf_object__close(object);
  return names;
}

class Stacks : public testing::TestWithParam<const char*> {};

TEST_P(Stacks, fit_as_linux_6_1_counts_them_and_are_followed_in_time) {
  const std::string path = std::string(TRAP_BPF_OBJECTS) + "/" + GetParam() + ".bpf.o";
  const std::vector<std::string> names = programs_of(path);
  ASSERT_FALSE(names.empty()) << path;
  for (const std::string& name : names) {
    bpf_object* object = bpf_object__open(path.c_str());
    bpf_program* wanted = nullptr;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object) {
      const bool is_wanted = bpf_program__name(program) == name;
      bpf_program__set_autoload(program, is_wanted);
      wanted = is_wanted ? program : wanted;
    }
    std::string log(std::size_t{1} << 20, '\0');
    constexpr std::uint32_t statistics = 4;
    bpf_program__set_log_level(wanted, statistics);
    bpf_program__set_log_buf(wanted, log.data(), log.size());
    ASSERT_EQ(bpf_object__load(object), 0) << name << ": " << log.c_str();
    const Calls calls(wanted);
    const std::vector<int> depths = stack_depths(log.c_str());
    ASSERT_EQ(depths.size(), calls.functions()) << name << ": " << log.c_str();
    const std::vector<int> deepest = calls.deepest(depths);
    EXPECT_LE(Calls::sum(deepest), stack_bytes) << name << ": " << text_of(deepest);
    EXPECT_GT(followed(log), 0) << name << ": " << log.c_str();
    EXPECT_LE(followed(log), most_followed) << name;
    bpf_object__close(object);
  }
}

INSTANTIATE_TEST_SUITE_P(Objects, Stacks,
                         testing::Values("trap_server", "trap_server_assign", "trap_listener",
                                         "trap_inject", "trap_wire_watch", "trap_guard",
                                         "trap_client"),
                         [](const auto& object) { return std::string(object.param); });

} // namespace
} // namespace trap::test
