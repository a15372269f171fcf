// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <ctime>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fmt/core.h>
#include <net/if.h>
#include <netinet/in.h>

#include "ctl/doctor/doctor_gather.h"
#include "ctl/doctor/doctor_listening.h"
#include "ctl/parts.h"
#include "runtime/attach/xdp.h"
#include "runtime/config/config_node.h"
#include "runtime/config/endpoint.h"
#include "runtime/fd.h"
#include "runtime/net/interface_choice.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

constexpr std::uint64_t seconds_per_day = 86400;

std::string text_of(const ConfigNode& node, const std::string& key, const std::string& otherwise) {
  const ConfigNode* found = find_entry(node, key);
  const auto* text = found ? std::get_if<std::string>(&found->value) : nullptr;
  return text ? *text : otherwise;
}

std::vector<ConfigNode> list_of(const ConfigNode& node, const std::string& key) {
  const ConfigNode* found = find_entry(node, key);
  const auto* list = found ? std::get_if<ConfigNode::Array>(&found->value) : nullptr;
  return list ? *list : ConfigNode::Array{};
}

std::vector<std::string> texts_of(const ConfigNode& node, const std::string& key) {
  std::vector<std::string> texts;
  for (const ConfigNode& one : list_of(node, key)) {
    if (const auto* text = std::get_if<std::string>(&one.value))
      texts.push_back(*text);
  }
  return texts;
}

// Does the kernel have a route for a datagram? None is sent.
bool has_route(const trap_address& address) {
  sockaddr_in v4 = {};
  sockaddr_in6 v6 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = v6.sin6_port = htons(9);
  v4.sin_addr.s_addr = address.be32[3];
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, address.bytes, sizeof(address.bytes));
  const bool is_v4 = family_of(address) == TRAP_IPV4;
  const Fd fd(socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return fd && connect(fd.get(),
                       is_v4 ? reinterpret_cast<const sockaddr*>(&v4)
                             : reinterpret_cast<const sockaddr*>(&v6),
                       is_v4 ? sizeof(v4) : sizeof(v6)) == 0;
}

void add_peer(PartFacts& facts, const trap_address& address) {
  const std::string text = format_address(address);
  if (std::none_of(facts.peers.begin(), facts.peers.end(),
                   [&](const PeerFacts& peer) { return peer.address == text; }))
    facts.peers.push_back({text, has_route(address)});
}

void read_guard(PartFacts& facts, const ConfigNode& root, const Listeners& listeners) {
  for (const std::string& text : texts_of(root, "trap_servers")) {
    if (auto address = parse_address(text))
      add_peer(facts, *address);
  }
  for (const ConfigNode& service : list_of(root, "service")) {
    const ConfigNode* port = find_entry(service, "port");
    const auto* number = port ? std::get_if<std::int64_t>(&port->value) : nullptr;
    if (!number || text_of(service, "sockets", "host") != "host")
      continue; // a container's, or those of a host behind this one, are not seen here
    facts.ports.push_back({text_of(service, "name", ""), fmt::format("port {}", *number),
                           listeners.at_port(static_cast<std::uint16_t>(*number))});
  }
}

void read_server(PartFacts& facts, const ConfigNode& root, const Listeners& listeners) {
  for (const ConfigNode& service : list_of(root, "service")) {
    for (const ConfigNode& backend : list_of(service, "backend")) {
      if (auto inside = parse_address(text_of(backend, "guard_address", "")))
        add_peer(facts, *inside);
      else if (auto endpoint = parse_endpoint(text_of(backend, "address", "")))
        add_peer(facts, endpoint->address);
    }
    const bool is_alone = list_of(service, "backend").empty();
    if (text_of(service, "unaware", is_alone ? "serve" : "reset") != "serve")
      continue;
    for (const std::string& text : texts_of(service, "addresses")) {
      if (auto endpoint = parse_endpoint(text))
        facts.ports.push_back({text_of(service, "name", ""), text, listeners.at(*endpoint)});
    }
  }
}

KeyFileFacts read_key_file(const std::string& path) {
  KeyFileFacts key;
  key.path = path;
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return key;
  key.exists = true;
  key.mode = info.st_mode & 07777;
  const std::int64_t age_s = std::time(nullptr) - info.st_mtime;
  key.age_days = age_s < 0 ? 0 : static_cast<std::uint64_t>(age_s) / seconds_per_day;
  return key;
}

// Server and guard may share an interface, which has the server's program then.
void read_chain(PartFacts& facts, const std::string& pin_dir) {
  for (InterfaceFacts& interface : facts.interfaces) {
    const XdpChain chain =
        pinned_chain_at(pin_dir, interface.name, if_nametoindex(interface.name.c_str()));
    if (!chain.ours)
      continue;
    interface.xdp_program = "trap_" + facts.part;
    interface.xdp_front = chain.before.empty() ? "" : chain.before.front();
    interface.xdp_behind = chain.behind.empty() ? "" : chain.behind.front();
  }
}

// An error in the file, or what its program says of it. Fills `facts` from it.
std::string read_config(PartFacts& facts, PartLocation& location) {
  auto root = read_config_file(facts.config_path);
  if (!root)
    return root.error().message;
  location.socket = text_of(*root, "control_socket", location.socket);
  location.pin_dir = text_of(*root, "pin_dir", location.pin_dir);
  if (facts.part != "client")
    facts.xdp_mode =
        text_of(*root, "attach", "xdp") == "tc" ? "" : text_of(*root, "xdp_mode", "native");
  for (const char* key : {"interfaces", "lan"}) {
    for (const std::string& name : texts_of(*root, key)) {
      if (!is_pattern(name))
        facts.interfaces.push_back(gather_interface(name));
    }
  }
  if (facts.part != "client")
    read_chain(facts, location.pin_dir);
  const Listeners listeners = read_listeners();
  facts.accepts_uncovered = text_of(*root, "uncovered", "") == "accept";
  if (facts.part == "guard") {
    facts.key_file = read_key_file(
        path_beside(facts.config_path, text_of(*root, "secret_file", "/etc/trap/guard.key")));
    read_guard(facts, *root, listeners);
  } else if (facts.part == "server") {
    read_server(facts, *root, listeners);
    KeyFileFacts key = read_key_file(
        path_beside(facts.config_path, text_of(*root, "master_key_file", "/etc/trap/master.key")));
    if (key.exists || !facts.peers.empty()) // without backends nothing is signed
      facts.key_file = std::move(key);
  }
  return check_config(facts.part, facts.config_path);
}

// As the daemon says, or as it would be once it starts.
void read_uncovered(PartFacts& facts, const ordered_json& status) {
  const auto add = [&](const std::string& name, const std::string& reason) {
    facts.uncovered.push_back(fmt::format("{}: {}", name, reason));
  };
  if (status.contains("uncovered")) {
    for (const auto& way : status["uncovered"])
      if (!way.value("harmless", false))
        add(way.value("name", std::string{}), way.value("reason", std::string{}));
    return;
  }
  auto root = read_config_file(facts.config_path);
  if (!root || facts.part == "client")
    return;
  PartConfig config = make_part_config(facts.part);
  config.interfaces = texts_of(*root, "interfaces");
  config.except = texts_of(*root, "except");
  for (const Uncovered& way : would_be_uncovered(config, facts.part == "guard"))
    if (!way.is_harmless)
      add(way.interface, way.reason);
}

// Interfaces that a pattern matched.
void read_matched(PartFacts& facts, const ordered_json& status) {
  for (const auto& interface : status.value("interfaces", ordered_json::array())) {
    const std::string name = interface.value("name", std::string{});
    if (std::ranges::find(facts.interfaces, name, &InterfaceFacts::name) == facts.interfaces.end())
      facts.interfaces.push_back(gather_interface(name));
  }
}

// A program of the host's may lead clients to a listener at another port, which no table of sockets
// shows. The daemon knows: it has an answer.
void read_heard(PartFacts& facts, const ordered_json& status) {
  for (const auto& service : status.value("services", ordered_json::array())) {
    const auto listener = service.find("listener");
    const auto address = parse_endpoint(service.value("address", std::string{}));
    if (listener == service.end() || *listener != "ok" || !address)
      continue;
    for (PortFacts& port : facts.ports)
      if (const auto where = parse_endpoint(port.where); where && *where == *address)
        port.listens = true;
  }
}

void read_daemon(PartFacts& facts, const PartLocation& location) {
  DaemonFacts& daemon = facts.daemon;
  auto status = running_status(location);
  if (!status) {
    daemon.error = status.error().message;
    return;
  }
  read_uncovered(facts, *status);
  if (status->is_null()) {
    if (const auto deaf = deaf_daemon(location)) {
      daemon.deaf = deaf->what;
      daemon.deaf_cure = deaf->cure;
    }
    return;
  }
  daemon.runs = true;
  read_matched(facts, *status);
  if (facts.part == "server")
    read_heard(facts, *status);
  daemon.version = status->value("version", "");
  daemon.problems = status->value("problems", std::vector<std::string>{});
  if (auto keys = status->find("keys"); keys != status->end()) {
    daemon.epoch = keys->value("epoch", std::uint64_t{0});
    daemon.epochs_held = keys->value("epochs_held", std::vector<std::uint64_t>{});
  }
  for (const auto& interface : status->value("interfaces", ordered_json::array()))
    for (const std::string& program : interface.value("tc_before", std::vector<std::string>{}))
      daemon.tc_before.push_back(
          fmt::format("{}: {}", interface.value("name", std::string{}), program));
  for (const auto& fallback : status->value("fallbacks", ordered_json::array())) {
    if (!fallback.contains("unconsented"))
      continue;
    const std::string line =
        fmt::format("{} redirects to {}", fallback.value("service", std::string{}),
                    fallback.value("unconsented", std::string{}));
    if (std::ranges::find(daemon.unconsented, line) == daemon.unconsented.end())
      daemon.unconsented.push_back(line);
  }
  daemon.announcements = status->value("counters", ordered_json::object())
                             .value("announce-accepted", std::uint64_t{0});
}

} // namespace

PartFacts gather_part(const std::string& part, const std::string& config_path) {
  PartFacts facts;
  facts.part = part;
  facts.config_path = config_path;
  PartLocation location = {part, "/run/trap/" + part + ".sock", "/sys/fs/bpf/trap/" + part};
  facts.config_problem = read_config(facts, location);
  read_daemon(facts, location);
  return facts;
}

} // namespace trap::ctl
