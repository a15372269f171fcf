// SPDX-License-Identifier: Apache-2.0
// A TRAP server leads clients to hosts that are not its own: a third party's mail port, the
// client's router. Connections end as without the module, and those hosts see a SYN and a RST.
#include <cerrno>
#include <cstddef>
#include <string>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/socket.h>

#include "lab/hosts/listening.h"
#include "lab/scenarios/clients/client_watch.h"
#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "runtime/fd.h"

namespace trap::lab {
namespace {

constexpr int mail_port = 25, trick_port = 81;
constexpr int patience_ms = 3000;

std::string address_of(std::string_view host, Family family) {
  const HostAddresses& client = addresses_of("client");
  if (host == "router") // the client's
    return std::string{family == Family::ipv4 ? client.ipv4_gateway : client.ipv6_gateway};
  return std::string{addresses_of(host).address(family)};
}

// A service at the public address whose backend is any host's port.
std::string trick(std::string_view host, int backend_port, std::string_view unaware, int port) {
  const HostAddresses& trap = addresses_of("trap");
  std::string text = fmt::format(
      "[[service]]\nname = \"trick-{}\"\naddresses = [\"{}\", \"{}\"]\nunaware = \"{}\"\n"
      "health = \"off\"\n",
      port, endpoint(trap.ipv4, port), endpoint(trap.ipv6, port), unaware);
  for (const Family family : families)
    text += fmt::format("[[service.backend]]\naddress = \"{}\"\nguard = \"{}\"\n",
                        endpoint(address_of(host, family), backend_port), guard_of("service"));
  return text;
}

// A socket that listens on a host, for as long as it lives.
Fd listen_at(const Host& host, std::string_view address, int port) {
  const InHost inside{host};
  socklen_t length = 0;
  const sockaddr_storage here = socket_address(address, port, length);
  Fd fd{socket(here.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!inside.entered() || bind(fd.get(), reinterpret_cast<const sockaddr*>(&here), length) != 0 ||
      listen(fd.get(), 16) != 0)
    return Fd{};
  return fd;
}

// The TCP segments from the client that arrive at a host's port.
class Sniffer {
public:
  Sniffer(const Host& host, Family family, int port)
      : client_(addresses_of("client").address(family)), host_(address_of(host.name(), family)),
        port_(port) {
    const InHost inside{host};
    if (inside.entered())
      fd_ = Fd{socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))};
  }

  // "SYN RST", in order, those that came since the last call.
  std::string segments() {
    std::string text;
    std::uint8_t bytes[2048];
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    for (ssize_t got; (got = recvfrom(fd_.get(), bytes, sizeof bytes, 0,
                                      reinterpret_cast<sockaddr*>(&from), &length)) > 0;
         length = sizeof from) {
      const std::size_t offset = bytes[0] >> 4 == 4 ? sizeof(iphdr) : sizeof(ip6_hdr);
      const auto* tcp = reinterpret_cast<const tcphdr*>(bytes + offset);
      if (from.sll_pkttype == PACKET_OUTGOING || static_cast<std::size_t>(got) < offset + 20 ||
          bytes[bytes[0] >> 4 == 4 ? 9 : 6] != IPPROTO_TCP || ntohs(tcp->dest) != port_ ||
          end_of(bytes, true) != client_ || end_of(bytes, false) != host_)
        continue;
      text += text.empty() ? "" : " ";
      text += tcp->syn ? "SYN" : tcp->rst ? "RST" : "other";
    }
    return text;
  }

private:
  // Source or destination: a router forwards others, and the TRAP server checks its backends.
  static std::string end_of(const std::uint8_t* ip, bool source) {
    const std::size_t at4 = source ? offsetof(iphdr, saddr) : offsetof(iphdr, daddr);
    const std::size_t at6 = source ? offsetof(ip6_hdr, ip6_src) : offsetof(ip6_hdr, ip6_dst);
    const bool is_v4 = ip[0] >> 4 == 4;
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(is_v4 ? AF_INET : AF_INET6, ip + (is_v4 ? at4 : at6), text, sizeof text);
    return text;
  }

  std::string client_, host_;
  int port_;
  Fd fd_;
};

// How a connect of the client's ends: 0 if it is established, else its errno.
int connect_from_client(Scene& scene, std::string_view address, int port) {
  const InHost inside{scene.host("client")};
  socklen_t length = 0;
  const sockaddr_storage to = socket_address(address, port, length);
  const Fd fd{socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), length) != 0 &&
      errno != EINPROGRESS)
    return errno;
  pollfd ready{fd.get(), POLLOUT, 0};
  if (poll(&ready, 1, patience_ms) != 1)
    return ETIMEDOUT;
  int failed = 0;
  socklen_t bytes = sizeof failed;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failed, &bytes);
  return failed;
}

struct Trick {
  std::string_view host;
  int backend_port;
  bool serves;
  int port; // of the public address
};

constexpr Trick tricks[] = {{"plain", mail_port, true, trick_port},
                            {"plain", mail_port, false, trick_port + 1},
                            {"router", trick_port + 2, true, trick_port + 2},
                            {"router", trick_port + 3, false, trick_port + 3}};

std::string all_tricks() {
  std::string text;
  for (const Trick& one : tricks)
    text += trick(one.host, one.backend_port, one.serves ? "serve" : "reset", one.port);
  return text;
}

void expect_refused(Scene& scene, const Trick& one, Family family) {
  const std::string what =
      fmt::format("{}, led to {}:{} by a server that {}", name_of(family), one.host,
                  one.backend_port, one.serves ? "serves" : "resets");
  const Host& host = scene.host(one.host);
  const Fd victim = listen_at(host, address_of(one.host, family), one.backend_port);
  const Fd own = listen_at(scene.host("trap"), addresses_of("trap").address(family), one.port);
  Sniffer sniffer{host, family, one.backend_port};
  if (!scene.check(victim && own, what + ": listeners", error_text(errno)))
    return;
  for (const std::string_view which : {"first", "second"}) {
    const auto before = scene.trap().client().counters();
    const int ended = connect_from_client(scene, addresses_of("trap").address(family), one.port);
    const auto after = scene.trap().client().counters();
    scene.check(
        ended == (one.serves ? 0 : ECONNREFUSED),
        fmt::format("{}: the {} connection is {}", what, which, one.serves ? "served" : "refused"),
        error_text(ended));
    const bool is_first = which == "first";
    const std::string seen = sniffer.segments();
    scene.check(seen == (is_first ? "SYN RST" : ""),
                fmt::format("{}: the target sees {}", what,
                            is_first ? "a SYN and a RST" : "nothing of the second"),
                seen);
    scene.check(before && after &&
                    count_of(*after, "reply-unconsented") -
                            count_of(*before, "reply-unconsented") ==
                        (is_first ? 1U : 0U),
                fmt::format("{}: reply-unconsented of the {} connection", what, which),
                after ? text_of(*after) : after.error().message);
  }
  const Fd accepted{accept(victim.get(), nullptr, nullptr)};
  scene.check(!accepted, what + ": the target accepts nothing", "it did");
}

void consent(Scene& scene) {
  for (const Trick& one : tricks)
    for (const Family family : families)
      expect_refused(scene, one, family);
  for (const Family family : families) {
    const Visit visit = scene.visit_service(family, "/5mb.bin");
    scene.expect_whole(visit, family, download_bytes, fmt::format("{}", name_of(family)));
    scene.expect_handed_over(visit, fmt::format("{}, to a service that consents", name_of(family)));
  }
}

DeploymentPlan malicious_plan() {
  return {.server_keys = all_tricks()};
}

const Registration register_consent{{
    .name = "consent",
    .goal = "a redirect to a host that does not consent ends as without the module",
    .plan = malicious_plan(),
    .play = consent,
}};

} // namespace
} // namespace trap::lab
