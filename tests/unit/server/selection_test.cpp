// SPDX-License-Identifier: Apache-2.0
// The weighted rendezvous table against the vectors, and what it promises: shares by weight, few
// movers, no regard for order.
#include "server/daemon/plan/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <string>

#include "tests/support/vectors.h"

namespace trap::test {
namespace {

using server::Candidate;

std::vector<Candidate> read_candidates(const Json& backends) {
  std::vector<Candidate> candidates;
  for (const Json& b : backends)
    candidates.push_back({.endpoint = {read_address(b["address"]).value, b["port"]},
                          .weight = b["weight"],
                          .index = static_cast<std::uint16_t>(candidates.size())});
  return candidates;
}

trap_selection filled(const trap_key& key, const std::vector<Candidate>& candidates) {
  trap_selection selection = {};
  server::fill_selection(selection, key, candidates);
  return selection;
}

TEST(SelectionTable, is_what_the_document_says) {
  const Json vectors = read_json("selection.json");
  const trap_key key = read_key(vectors["key"]);
  for (const Json& v : vectors["tables"]) {
    const std::vector<Candidate> candidates = read_candidates(v["backends"]);
    const trap_selection selection = filled(key, candidates);
    EXPECT_EQ(selection.backend_count, candidates.size());
    std::string table;
    for (const auto index : selection.backends)
      table += std::to_string(index);
    EXPECT_EQ(table, v["table"].get<std::string>());
  }
}

TEST(SelectionTable, does_not_depend_on_the_order_of_backends) {
  const Json vectors = read_json("selection.json");
  const trap_key key = read_key(vectors["key"]);
  std::vector<Candidate> candidates = read_candidates(vectors["tables"][2]["backends"]);
  const trap_selection selection = filled(key, candidates);
  std::ranges::reverse(candidates);
  const trap_selection reversed = filled(key, candidates);
  EXPECT_TRUE(std::ranges::equal(selection.backends, reversed.backends));
}

TEST(SelectionTable, moves_only_the_clients_of_a_backend_that_goes) {
  const Json vectors = read_json("selection.json");
  const trap_key key = read_key(vectors["key"]);
  std::vector<Candidate> candidates = read_candidates(vectors["tables"][2]["backends"]);
  const trap_selection before = filled(key, candidates);
  const std::uint16_t gone = candidates[3].index;
  candidates.pop_back();
  const trap_selection after = filled(key, candidates);
  for (std::size_t slot = 0; slot < TRAP_SELECTION_SLOTS; slot++) {
    if (before.backends[slot] != gone)
      EXPECT_EQ(after.backends[slot], before.backends[slot]) << slot;
  }
}

// Of ten equal backends one leaves, or is the one that joined: only slots of its own move, which
// are about a tenth.
TEST(SelectionTable, moves_a_tenth_when_one_of_ten_leaves_or_joins) {
  std::vector<Candidate> candidates;
  for (std::uint16_t i = 0; i < 10; i++)
    candidates.push_back(
        {.endpoint = {read_address("198.51.100." + std::to_string(20 + i)).value, 80},
         .weight = 1,
         .index = i});
  const trap_selection ten = filled(trap_key_make(1, 2), candidates);
  const std::uint16_t changed = candidates[4].index;
  candidates.erase(candidates.begin() + 4);
  const trap_selection nine = filled(trap_key_make(1, 2), candidates);
  std::size_t moved = 0;
  for (std::size_t slot = 0; slot < TRAP_SELECTION_SLOTS; slot++) {
    if (ten.backends[slot] == nine.backends[slot])
      continue;
    moved++;
    EXPECT_EQ(ten.backends[slot], changed) << slot;
  }
  RecordProperty("clients_moved_percent",
                 std::to_string(100.0 * static_cast<double>(moved) / TRAP_SELECTION_SLOTS));
  std::cout << "clients moved: " << 100.0 * static_cast<double>(moved) / TRAP_SELECTION_SLOTS
            << " %\n";
  EXPECT_NEAR(static_cast<double>(moved) / TRAP_SELECTION_SLOTS, 0.1, 0.02);
}

TEST(SelectionTable, shares_by_weight) {
  std::vector<Candidate> candidates;
  for (std::uint16_t i = 0; i < 4; i++)
    candidates.push_back(
        {.endpoint = {read_address("198.51.100.20").value, static_cast<std::uint16_t>(80 + i)},
         .weight = 1U + i,
         .index = i});
  const trap_selection selection = filled(trap_key_make(1, 2), candidates);
  for (std::uint16_t i = 0; i < 4; i++) {
    const auto slots = std::ranges::count(selection.backends, i);
    EXPECT_NEAR(static_cast<double>(slots), 4096.0 * (1 + i) / 10, 150) << i;
  }
}

} // namespace
} // namespace trap::test
