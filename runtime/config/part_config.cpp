// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/part_config.h"

#include <algorithm>
#include <climits>
#include <net/if.h>
#include <sys/un.h>

#include <fmt/core.h>

namespace trap {
namespace {

constexpr std::size_t pin_dir_most_bytes = PATH_MAX / 2;
constexpr std::size_t socket_most_bytes = sizeof(sockaddr_un::sun_path) - 1;

const Choices<XdpMode>& xdp_modes() {
  static const Choices<XdpMode> modes = {{"native", XdpMode::native},
                                         {"generic", XdpMode::generic}};
  return modes;
}

std::string as_it_is(const std::string& text) {
  return text;
}

bool is_interface_name(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..")
    return false;
  return std::none_of(name.begin(), name.end(),
                      [](unsigned char c) { return c <= ' ' || c == '/' || c == ':' || c == 127; });
}

// Whether there is such a group, the host says when the socket is made
// (runtime/control/control_access.h).
Written<std::string> group_name() {
  return {.parse = [](const std::string& text) -> Result<std::string> {
            if (text.size() > 32 || std::ranges::any_of(text, [](unsigned char c) {
                  return c <= ' ' || c == ':' || c == ',' || c == '/' || c == 127;
                }))
              return Error{fmt::format("\"{}\" cannot be a group's name", text), ExitCode::usage};
            return text;
          },
          .format = as_it_is,
          .accepted = "a group's name or number"};
}

template <std::size_t limit_bytes> Result<std::string> parse_absolute(const std::string& text) {
  if (!text.starts_with('/'))
    return Error{fmt::format("\"{}\" is not an absolute path", text), ExitCode::usage};
  if (text.size() > limit_bytes)
    return Error{fmt::format("the path is longer than the {} bytes it may have", limit_bytes),
                 ExitCode::usage};
  return text;
}

template <std::size_t limit_bytes> Written<std::string> absolute_path() {
  return {.parse = parse_absolute<limit_bytes>,
          .format = as_it_is,
          .accepted = fmt::format("an absolute path of at most {} bytes", limit_bytes)};
}

} // namespace

const char* xdp_mode_name(XdpMode mode) {
  return name_in(xdp_modes(), mode).c_str();
}

PartConfig make_part_config(const std::string& part) {
  PartConfig config;
  config.part = part;
  config.pin_dir = "/sys/fs/bpf/trap/" + part;
  config.control_socket = "/run/trap/" + part + ".sock";
  return config;
}

Keys<PartConfig> part_keys(const std::string& part) {
  using P = PartConfig;
  const bool is_client = part == "client";
  Keys<P> keys = {
      required(strings("interfaces", &P::interfaces, interface_name(),
                       is_client ? by_reload : by_restart,
                       is_client ? "names and patterns of interfaces that services are "
                                   "reached through"
                                 : "names and patterns of interfaces where packets "
                                   "arrive")),
      strings("except", &P::except, interface_name(), is_client ? by_reload : by_restart,
              is_client ? "names and patterns that the patterns of interfaces and lan do not "
                          "match"
                        : "names and patterns that the patterns of interfaces do not match")};
  if (!is_client)
    keys.push_back(choice("xdp_mode", &P::xdp_mode, xdp_modes(), by_restart,
                          "how the program is attached to the interfaces"));
  keys.push_back(string("pin_dir", &P::pin_dir, absolute_path<pin_dir_most_bytes>(), by_detach,
                        "directory of pinned maps and links, on a bpffs"));
  keys.push_back(string("control_socket", &P::control_socket, absolute_path<socket_most_bytes>(),
                        by_restart, "socket where the daemon answers trapctl"));
  keys.push_back(string("control_group", &P::control_group, group_name(), by_restart,
                        "group whose members may read at the control socket; root alone if it is "
                        "empty"));
  keys.push_back(string_or_none("metrics_listen", &P::metrics_listen, address_and_port(),
                                by_restart,
                                "where Prometheus may ask for /metrics, and routers for /ready"));
  return keys;
}

void refuse_both(ConfigTable& table, const NameList& one, const NameList& other) {
  for (std::size_t i = 0; i < other.names.size(); i++) {
    if (std::ranges::find(one.names, other.names[i]) != one.names.end())
      table.fail(table.line_of(other.key, i),
                 fmt::format(R"("{}" is both in "{}" and "{}": name it in one)", other.names[i],
                             one.key, other.key));
  }
}

void refuse_excepted(ConfigTable& table, const PartConfig& config) {
  refuse_both(table, {"interfaces", config.interfaces}, {"except", config.except});
}

Written<std::string> interface_name() {
  return {
      .parse = [](const std::string& text) -> Result<std::string> {
        if (!is_interface_name(text))
          return Error{fmt::format("\"{}\" cannot be an interface's name", text), ExitCode::usage};
        return text;
      },
      .format = as_it_is,
      .accepted = "names of interfaces"};
}

Written<std::string> file_path() {
  return {.parse = [](const std::string& text) -> Result<std::string> { return text; },
          .format = as_it_is,
          .accepted = "a path"};
}

Written<Endpoint> address_and_port() {
  return {.parse = parse_endpoint, .format = format_endpoint, .accepted = "an address and a port"};
}

bool is_table_name(const std::string& text) {
  return !text.empty() && text.size() <= 63 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

} // namespace trap
