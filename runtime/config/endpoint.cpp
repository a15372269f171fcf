// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/endpoint.h"

#include <arpa/inet.h>
#include <charconv>

#include <fmt/core.h>

namespace trap {
namespace {

constexpr const char* endpoint_form = "write it as 203.0.113.10:80 or [2001:db8::10]:80";

Error usage(std::string message) {
  return Error{std::move(message), ExitCode::usage};
}

} // namespace

Result<trap_address> parse_address(const std::string& text) {
  trap_address address = {};
  if (text.find(':') == std::string::npos) {
    __be32 v4 = 0;
    if (inet_pton(AF_INET, text.c_str(), &v4) != 1)
      return usage(fmt::format("\"{}\" is not an IP address", text));
    return trap_address_v4(v4);
  }
  if (inet_pton(AF_INET6, text.c_str(), address.bytes) != 1)
    return usage(fmt::format("\"{}\" is not an IP address", text));
  if (trap_address_is_v4(&address))
    return usage(fmt::format("\"{}\" is an IPv4 address in IPv6 form: write {}", text,
                             format_address(address)));
  return address;
}

Result<Endpoint> parse_endpoint(const std::string& text) {
  auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return usage(fmt::format("\"{}\" has no port: {}", text, endpoint_form));
  std::string host = text.substr(0, colon);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed)
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos)
    return usage(fmt::format("\"{}\" is ambiguous: {}", text, endpoint_form));

  Endpoint endpoint;
  const char* end = text.data() + text.size();
  auto [stop, failure] = std::from_chars(text.data() + colon + 1, end, endpoint.port);
  if (failure != std::errc() || stop != end || endpoint.port == 0)
    return usage(fmt::format("\"{}\" has no port of 1 to 65535: {}", text, endpoint_form));
  auto address = parse_address(host);
  if (!address)
    return usage(fmt::format("{}: {}", address.error().message, endpoint_form));
  if (bracketed != (family_of(*address) == TRAP_IPV6))
    return usage(fmt::format("\"{}\": brackets are for IPv6: {}", text, endpoint_form));
  endpoint.address = *address;
  return endpoint;
}

std::string format_address(const trap_address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (trap_address_is_v4(&address))
    inet_ntop(AF_INET, &address.be32[3], text, sizeof(text));
  else
    inet_ntop(AF_INET6, address.bytes, text, sizeof(text));
  return text;
}

std::string format_endpoint(const Endpoint& endpoint) {
  std::string address = format_address(endpoint.address);
  if (family_of(endpoint.address) == TRAP_IPV6)
    address = "[" + address + "]";
  return fmt::format("{}:{}", address, endpoint.port);
}

} // namespace trap
