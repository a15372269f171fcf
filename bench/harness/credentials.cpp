// SPDX-License-Identifier: Apache-2.0
#include "bench/harness/credentials.h"

#include <cstring>
#include <ctime>
#include <random>

#include <bpf/bpf.h>

#include "bench/harness/use_rigs.h"
#include "guard/maps.h"
#include "protocol/cookie.h"
#include "protocol/ticket.h"
#include "runtime/fd.h"
#include "server/maps.h"
#include "tests/support/test_constants.h"

namespace trap::bench {
namespace {

constexpr int service_port = 80;
constexpr std::uint32_t lifetime_s = 600;
constexpr std::uint64_t seed = 1;

template <typename Settings>
Result<Settings> read_settings(const lab::Host& host, const char* part) {
  Settings settings{};
  const std::uint32_t zero = 0;
  const Fd map{bpf_obj_get((host.bpf_directory() / part / "settings").c_str())};
  if (!map || bpf_map_lookup_elem(map.get(), &zero, &settings) != 0)
    return Error{"cannot read the keys of trap-" + std::string{part} + " on " + host.name()};
  return settings;
}

Result<trap_key> key_of(const trap_keyring& ring, std::uint64_t epoch) {
  const auto& slot = ring.slots[epoch % TRAP_KEYRING_SLOTS];
  if (slot.epoch != epoch)
    return Error{"there is no key of this epoch"};
  return slot.key;
}

trap_time now() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  trap_time moment{};
  moment.unix_ns = static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
                   static_cast<std::uint64_t>(time.tv_nsec);
  moment.unix_s = static_cast<std::uint32_t>(time.tv_sec);
  return moment;
}

// Sources as the generator invents them: 1.0.0.0 to 126.255.255.255, 2001::/16.
trap_address client_of(std::mt19937_64& random, int family) {
  trap_address client{};
  if (family == 6) {
    client.raw64[0] = (random() & ~0xffffULL) | 0x0120;
    client.raw64[1] = random();
    return client;
  }
  client.be32[2] = TRAP_BE32(0xffff);
  client.be32[3] = static_cast<__be32>((random() & 0xffffff00) | (random() % 126 + 1));
  return client;
}

Result<trap_address> public_address(int family) {
  return use_rigs([&]() -> Result<trap_address> {
    return test::TestConstants().address("public", family).value;
  });
}

} // namespace

Result<std::vector<trap_flood_credential>> cookies_of(const lab::Host& host, int family) {
  const auto settings = read_settings<trap_server_settings>(host, "server");
  if (!settings)
    return settings.error();
  const trap_time moment = now();
  const std::uint32_t window = trap_cookie_window(moment.unix_ns);
  const auto key = key_of(settings->cookie_keys, trap_epoch(moment.unix_ns));
  if (!key)
    return key.error();
  const auto server = public_address(family);
  if (!server)
    return server.error();
  std::mt19937_64 random{seed};
  std::vector<trap_flood_credential> credentials(TRAP_FLOOD_CREDENTIALS);
  for (trap_flood_credential& credential : credentials) {
    const auto isn = static_cast<std::uint32_t>(random());
    credential.port = static_cast<__be16>(random()) | 4;
    const trap_connection connection = {
        client_of(random, family), *server,        credential.port,
        TRAP_BE16(service_port),   TRAP_BE32(isn), static_cast<__u32>(family)};
    std::memcpy(credential.source, &connection.client, sizeof credential.source);
    credential.seq = TRAP_BE32(isn + 1);
    const std::uint32_t cookie = trap_cookie(&*key, &connection, window);
    credential.ack = TRAP_BE32(cookie + 1);
  }
  return credentials;
}

Result<std::vector<trap_flood_credential>> tickets_of(const lab::Host& host, int family) {
  const auto settings = read_settings<trap_guard_settings>(host, "guard");
  if (!settings)
    return settings.error();
  const trap_time moment = now();
  const std::uint64_t epoch = trap_epoch(moment.unix_ns);
  const auto key = key_of(settings->ticket_keys, epoch);
  if (!key)
    return key.error();
  std::mt19937_64 random{seed};
  std::vector<trap_flood_credential> credentials(TRAP_FLOOD_CREDENTIALS);
  for (trap_flood_credential& credential : credentials) {
    const trap_grant grant = {client_of(random, family), TRAP_BE16(service_port),
                              static_cast<__u8>(family),
                              static_cast<__u8>(family == 4 ? TRAP_SCOPE_V4 : TRAP_SCOPE_V6)};
    std::memcpy(credential.source, &grant.client, sizeof credential.source);
    const trap_ticket ticket = trap_ticket_make(&*key, epoch, moment.unix_s, lifetime_s, 0, &grant);
    static_assert(sizeof ticket == sizeof credential.ticket);
    std::memcpy(credential.ticket, &ticket, sizeof ticket);
  }
  return credentials;
}

} // namespace trap::bench
