// SPDX-License-Identifier: Apache-2.0
// Progress for a person: a line that says what is being done, replaced by its outcome. On a pipe,
// outcomes only.
#pragma once

#include <string>
#include <string_view>

namespace trap::lab {

class Terminal {
public:
  // Colours only on a terminal, and not if refused or NO_COLOR is set.
  explicit Terminal(bool colours_wanted);

  void heading(std::string_view text) const;
  void line(std::string_view text) const;
  void begin(std::string_view what) const;
  void end(bool ok, std::string_view what, std::string_view outcome) const;

  [[nodiscard]] std::string good(std::string_view text) const { return paint("32", text); }
  [[nodiscard]] std::string bad(std::string_view text) const { return paint("31", text); }
  [[nodiscard]] std::string strong(std::string_view text) const { return paint("1", text); }

private:
  [[nodiscard]] std::string paint(std::string_view code, std::string_view text) const;
  bool interactive_, colours_;
};

} // namespace trap::lab
