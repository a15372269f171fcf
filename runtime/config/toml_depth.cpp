// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/toml_depth.h"

namespace trap {
namespace {

// Reads the text as TOML's lexer does: strings and comments hide what is in them.
class Scan {
public:
  explicit Scan(std::string_view text) : rest_(text) {}

  std::optional<TomlTooDeep> run() {
    while (!rest_.empty()) {
      if (rest_[0] == '"' || rest_[0] == '\'')
        skip_string(rest_[0]);
      else if (rest_[0] == '#')
        skip_comment();
      else if (auto deep = take(rest_[0]))
        return deep;
    }
    return std::nullopt;
  }

private:
  void advance(std::size_t bytes) {
    for (std::size_t i = 0; i < bytes && i < rest_.size(); i++)
      line_ += rest_[i] == '\n' ? 1 : 0;
    rest_.remove_prefix(bytes < rest_.size() ? bytes : rest_.size());
  }

  void skip_comment() { advance(rest_.find('\n')); }

  // A string in one line ends with it at the latest: what follows is no TOML.
  void skip_string(char quote) {
    const bool has_lines = rest_.size() >= 3 && rest_[1] == quote && rest_[2] == quote;
    const std::size_t quotes = has_lines ? 3 : 1;
    advance(quotes);
    while (!rest_.empty() && (has_lines || rest_[0] != '\n')) {
      if (rest_[0] == '\\' && quote == '"') {
        advance(2);
      } else if (rest_.substr(0, quotes) ==
                 std::string_view("\"\"\"'''").substr(quote == '"' ? 0 : 3, quotes)) {
        advance(quotes);
        return;
      } else {
        advance(1);
      }
    }
  }

  // A byte outside strings and comments.
  std::optional<TomlTooDeep> take(char byte) {
    switch (byte) {
    case '.':
      if (++dots_ >= key_parts_max)
        return TomlTooDeep{line_, "a key has too many parts"};
      break;
    case '[':
    case '{':
      dots_ = 0;
      if (++depth_ > nested_values_max)
        return TomlTooDeep{line_, "values are nested too deeply"};
      break;
    case ']':
    case '}':
      dots_ = 0;
      depth_ -= depth_ > 0 ? 1 : 0;
      break;
    case '=':
    case ',':
    case '\n':
      dots_ = 0;
      break;
    default:
      break;
    }
    advance(1);
    return std::nullopt;
  }

  std::string_view rest_;
  unsigned line_ = 1;
  unsigned dots_ = 0;  // since the last character that ends a key or a value
  unsigned depth_ = 0; // of brackets
};

} // namespace

std::optional<TomlTooDeep> find_toml_too_deep(std::string_view text) {
  return Scan(text).run();
}

} // namespace trap
