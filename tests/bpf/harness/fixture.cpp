// SPDX-License-Identifier: Apache-2.0
// Reading fixtures and expanding their variables.
#include "tests/bpf/harness/fixture.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

namespace trap::test {
namespace {

std::string as_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Json substitute_text(const std::string& text, const Variables& variables) {
  const std::size_t start = text.find("${");
  if (start == std::string::npos)
    return text;
  const std::size_t end = text.find('}', start);
  const std::string name = text.substr(start + 2, end - start - 2);
  const auto found = variables.find(name);
  if (found == variables.end())
    throw std::runtime_error("no variable is called " + name);
  if (start == 0 && end + 1 == text.size())
    return found->second;
  return substitute_text(text.substr(0, start) + as_text(found->second) + text.substr(end + 1),
                         variables);
}

Json values_of(const Json& range) {
  if (range.is_array())
    return range;
  Json values = Json::array();
  for (int value = range.at("from"); value <= range.at("to").get<int>();
       value += range.value("step", 1))
    values.push_back(value);
  return values;
}

// 80, [80, 81], {"from": 0, "to": 9} or {"mask": 23, "is": 2}
bool fits(const Json& condition, const Json& value) {
  if (condition.is_array())
    return std::ranges::find(condition, value) != condition.end();
  if (!condition.is_object())
    return condition == value;
  if (condition.contains("mask"))
    return (value.get<int>() & condition["mask"].get<int>()) == condition.at("is");
  return value >= condition.value("from", Json(0)) && value <= condition.value("to", Json(1 << 30));
}

bool all_fit(const Json& when, const Variables& variables) {
  return std::ranges::all_of(when.items(), [&](const auto& item) {
    const auto found = variables.find(item.key());
    if (found == variables.end())
      throw std::runtime_error("no variable is called " + item.key());
    return fits(item.value(), found->second);
  });
}

} // namespace

std::vector<Fixture> read_fixtures(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    paths.push_back(entry.path());
  std::ranges::sort(paths);
  std::vector<Fixture> fixtures;
  for (const auto& path : paths) {
    for (const Json& json : read_json(path.string()))
      fixtures.push_back(
          {path.stem().string() + "." + json.at("name").get<std::string>(), json.at("goal"), json});
  }
  return fixtures;
}

std::vector<Variables> expand(const Json& for_each) {
  std::vector<Variables> combinations = {{}};
  for (const auto& item : for_each.items()) {
    std::vector<Variables> longer;
    for (const Variables& combination : combinations) {
      for (const Json& value : values_of(item.value())) {
        longer.push_back(combination);
        longer.back()[item.key()] = value;
      }
    }
    combinations = std::move(longer);
  }
  return combinations;
}

Json substitute(const Json& json, const Variables& variables) {
  if (json.is_string())
    return substitute_text(json, variables);
  Json result = json;
  if (json.is_structured()) {
    for (auto& item : result)
      item = substitute(item, variables);
  }
  if (result.is_object() && result.contains("concat")) {
    Json all = Json::array();
    for (const Json& list : result["concat"])
      all.insert(all.end(), list.begin(), list.end());
    return all;
  }
  if (result.is_object() && result.contains("merge")) {
    const Json changes = result["merge"];
    result.erase("merge");
    result.update(changes);
  }
  return result;
}

const Json& choose_expectation(const Json& expect, const Variables& variables) {
  if (expect.is_object())
    return expect;
  for (const Json& one : expect) {
    if (!one.contains("when") || all_fit(one["when"], variables))
      return one;
  }
  throw std::runtime_error("no expectation fits");
}

} // namespace trap::test
