// SPDX-License-Identifier: Apache-2.0
// Functions that can be expected to fail return Result<T>: a value, or one line for a person and
// the exit code that goes with it.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace trap {

enum class ExitCode : int {
  ok = 0,
  failed = 1,
  usage = 2, // command line, configuration or key file
  not_running = 3,
  degraded = 4,
};

struct Error {
  std::string message; // one line: what was tried, on what, why it failed, what to do
  ExitCode exit_code = ExitCode::failed;
};

template <class T> class [[nodiscard]] Result {
public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const Error& error() const { return std::get<1>(state_); }

private:
  std::variant<T, Error> state_;
};

template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  explicit operator bool() const { return !failed_; }
  const Error& error() const { return error_; }

private:
  Error error_;
  bool failed_ = false;
};

// The text of an errno value; libbpf returns them negative, both signs are taken.
std::string error_text(int error_number);

} // namespace trap
