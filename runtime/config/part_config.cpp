// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/part_config.h"

#include <algorithm>
#include <climits>
#include <net/if.h>
#include <sys/un.h>

#include <fmt/core.h>

namespace trap {
namespace {

bool is_interface_name(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..")
    return false;
  return std::none_of(name.begin(), name.end(),
                      [](unsigned char c) { return c <= ' ' || c == '/' || c == ':' || c == 127; });
}

std::string read_absolute_path(ConfigTable& table, const std::string& key,
                               const std::string& otherwise, std::size_t limit_bytes) {
  ConfigString path = table.string_or(key, otherwise);
  if (!path.text.starts_with('/'))
    table.fail(path.line, fmt::format(R"("{}" is "{}": write an absolute path)", key, path.text));
  if (path.text.size() > limit_bytes)
    table.fail(path.line, fmt::format("\"{}\" is longer than the {} bytes such a path may have",
                                      key, limit_bytes));
  return path.text;
}

std::optional<Endpoint> read_metrics_listen(ConfigTable& table) {
  ConfigString where = table.string_or("metrics_listen", "");
  if (where.text.empty())
    return std::nullopt;
  auto endpoint = parse_endpoint(where.text);
  if (!endpoint) {
    table.fail(where.line, fmt::format("\"metrics_listen\": {}", endpoint.error().message));
    return std::nullopt;
  }
  return *endpoint;
}

} // namespace

const char* xdp_mode_name(XdpMode mode) {
  return mode == XdpMode::native ? "native" : "generic";
}

std::vector<std::string> read_interface_names(ConfigTable& table,
                                              const std::vector<ConfigString>& texts) {
  std::vector<std::string> names;
  for (const ConfigString& name : texts) {
    if (!is_interface_name(name.text))
      table.fail(name.line, fmt::format("\"{}\" cannot be an interface's name", name.text));
    if (std::find(names.begin(), names.end(), name.text) != names.end())
      table.fail(name.line, fmt::format("interface \"{}\" is named twice", name.text));
    names.push_back(name.text);
  }
  return names;
}

PartConfig read_part_config(ConfigTable& table, const std::string& part, const std::string& path) {
  PartConfig config;
  config.part = part;
  config.path = path;
  config.interfaces = read_interface_names(table, table.required_strings("interfaces"));
  if (part != "client")
    config.xdp_mode = table.choice_or("xdp_mode", {"native", "generic"}).text == "native"
                          ? XdpMode::native
                          : XdpMode::generic;
  config.pin_dir = read_absolute_path(table, "pin_dir", "/sys/fs/bpf/trap/" + part, PATH_MAX / 2);
  config.control_socket = read_absolute_path(table, "control_socket", "/run/trap/" + part + ".sock",
                                             sizeof(sockaddr_un::sun_path) - 1);
  config.metrics_listen = read_metrics_listen(table);
  return config;
}

Result<void> refuse_changes_of_restart_keys(const PartConfig& running, const PartConfig& wanted) {
  const char* changed = running.interfaces != wanted.interfaces           ? "interfaces"
                        : running.xdp_mode != wanted.xdp_mode             ? "xdp_mode"
                        : running.pin_dir != wanted.pin_dir               ? "pin_dir"
                        : running.control_socket != wanted.control_socket ? "control_socket"
                        : running.metrics_listen != wanted.metrics_listen ? "metrics_listen"
                                                                          : nullptr;
  if (!changed)
    return {};
  return Error{fmt::format("{}: \"{}\" was changed, which a reload cannot apply: restart trap-{}, "
                           "which loses no packet",
                           wanted.path, changed, wanted.part),
               ExitCode::usage};
}

Result<void> refuse_change_of_size(const PartConfig& wanted, const char* key, std::uint32_t running,
                                   std::uint32_t asked) {
  if (running == asked)
    return {};
  return Error{fmt::format("{}: \"{}\" was changed from {} to {}, which a reload cannot apply: run "
                           "trap-{} --detach, then start it again",
                           wanted.path, key, running, asked, wanted.part),
               ExitCode::usage};
}

ConfigString read_table_name(ConfigTable& table, const std::string& kind) {
  ConfigString name = table.required_string("name");
  bool fits = name.text.size() <= 63 &&
              std::all_of(name.text.begin(), name.text.end(), [](unsigned char c) {
                return isalnum(c) || c == '.' || c == '_' || c == '-';
              });
  if (!fits)
    table.fail(name.line,
               fmt::format("{} name \"{}\": use 1 to 63 letters, digits, '.', '_' or '-'", kind,
                           name.text));
  table.name_it(fmt::format("{} \"{}\"", kind, name.text));
  return name;
}

ConfigString read_service_name(ConfigTable& table) {
  return read_table_name(table, "service");
}

} // namespace trap
