// SPDX-License-Identifier: Apache-2.0
#include "runtime/control/http_request.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/core.h>

namespace trap {
namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::string_view head_end = "\r\n\r\n";

HttpReading refuse(int status, std::string line) {
  HttpReading reading;
  reading.state = HttpReading::State::refused;
  reading.status = status;
  reading.line = std::move(line);
  return reading;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

// Takes the text up to `end` out of `rest`, and `end` with it.
std::string_view take_until(std::string_view& rest, std::string_view end) {
  const std::size_t at = rest.find(end);
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + end.size());
  return taken;
}

std::string_view trim(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

bool is_visible(char c) {
  return c > 0x20 && c < 0x7f;
}

// RFC 3986 2.1.
std::optional<std::string> decode(std::string_view path) {
  std::string decoded;
  for (std::size_t i = 0; i < path.size(); i++) {
    if (path[i] != '%') {
      decoded += path[i];
      continue;
    }
    unsigned char byte = 0;
    const std::string_view digits = path.substr(i + 1, 2);
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || failed != std::errc() || end != digits.data() + 2)
      return std::nullopt;
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

// Header fields: Content-Length and Accept have a meaning here, the others none. A status to refuse
// the request with, or 0.
HttpReading read_fields(std::string_view fields, std::size_t body_max_bytes,
                        std::size_t& body_bytes, std::string& accept) {
  bool has_length = false;
  while (!fields.empty()) {
    std::string_view value = take_until(fields, line_end);
    const std::size_t colon = value.find(':');
    const std::string_view name = value.substr(0, colon);
    if (colon == std::string_view::npos || name.empty() || !std::ranges::all_of(name, is_visible))
      return refuse(400, "a header field is malformed");
    value = trim(value.substr(colon + 1));
    if (is_same_name(name, "Transfer-Encoding"))
      return refuse(501, "Transfer-Encoding is not taken: send a Content-Length");
    if (is_same_name(name, "Range"))
      return refuse(400, "Range is not taken: ask for the whole");
    if (is_same_name(name, "Accept"))
      accept = value;
    if (!is_same_name(name, "Content-Length"))
      continue;
    const auto [end, failed] =
        std::from_chars(value.data(), value.data() + value.size(), body_bytes);
    if (has_length || failed == std::errc::invalid_argument || end != value.data() + value.size())
      return refuse(400, "Content-Length is not one number");
    if (failed != std::errc() || body_bytes > body_max_bytes)
      return refuse(413, fmt::format("a body has at most {} bytes here", body_max_bytes));
    has_length = true;
  }
  return {};
}

} // namespace

HttpReading read_http_request(std::string_view bytes, const HttpLimits& limits) {
  const std::size_t head_bytes = bytes.substr(0, limits.head_bytes).find(head_end);
  if (head_bytes == std::string_view::npos)
    return bytes.size() < limits.head_bytes
               ? HttpReading{}
               : refuse(431, fmt::format("a request line and its header fields have at most {} "
                                         "bytes here",
                                         limits.head_bytes));
  std::string_view fields = bytes.substr(0, head_bytes + line_end.size());
  std::string_view rest = take_until(fields, line_end);
  const std::string_view method = take_until(rest, " ");
  std::string_view target = take_until(rest, " ");
  if (method.empty() || !std::ranges::all_of(method, is_visible) || !target.starts_with('/') ||
      !std::ranges::all_of(target, is_visible) || (rest != "HTTP/1.1" && rest != "HTTP/1.0"))
    return refuse(400, "this is no request of HTTP/1.1");

  std::size_t body_bytes = 0;
  std::string accept;
  HttpReading reading = read_fields(fields, limits.body_bytes, body_bytes, accept);
  if (reading.state == HttpReading::State::refused)
    return reading;
  const std::string_view body = bytes.substr(head_bytes + head_end.size());
  if (body.size() < body_bytes)
    return {};
  auto path = decode(take_until(target, "?"));
  if (!path)
    return refuse(400, "the path is not well-formed");
  reading.state = HttpReading::State::complete;
  reading.request = {std::string(method), *path, std::string(target),
                     std::string(body.substr(0, body_bytes)), accept};
  return reading;
}

} // namespace trap
