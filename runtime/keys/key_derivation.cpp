// SPDX-License-Identifier: Apache-2.0
#include "runtime/keys/key_derivation.h"

#include <algorithm>
#include <cstring>

#include <sodium.h>

#include "protocol/wire.h"

namespace trap {
namespace {

// The secret's message of docs/protocol.md 5 begins with this and its terminating zero byte.
constexpr char guard_domain[] = "TRAP guard 1";

trap_key derive(const Secret& secret, std::uint64_t id, const char (&context)[9]) {
  static_assert(TRAP_KEY_BYTES >= crypto_kdf_BYTES_MIN);
  static_assert(sizeof(secret.bytes) == crypto_kdf_KEYBYTES);
  std::uint64_t words[TRAP_KEY_BYTES / 8];

  crypto_kdf_derive_from_key(reinterpret_cast<unsigned char*>(words), sizeof(words), id, context,
                             secret.bytes.data());
  const trap_key key = trap_key_make(words[0], words[1]);
  sodium_memzero(words, sizeof(words));
  return key;
}

} // namespace

Secret::~Secret() {
  sodium_memzero(bytes.data(), bytes.size());
}

bool is_guard_name(const std::string& name) {
  return !name.empty() && name.size() <= TRAP_GUARD_NAME_MAX &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
         });
}

Secret derive_guard_secret(const Secret& master, const std::string& guard_name) {
  std::string message(guard_domain, sizeof(guard_domain));
  message += guard_name;
  Secret secret;
  crypto_generichash(secret.bytes.data(), secret.bytes.size(),
                     reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                     master.bytes.data(), master.bytes.size());
  return secret;
}

trap_key derive_cookie_key(const Secret& master, std::uint64_t epoch) {
  return derive(master, epoch, "TRAPcook");
}

trap_key derive_selector_key(const Secret& master) {
  return derive(master, 0, "TRAPpick");
}

trap_key derive_ticket_key(const Secret& guard_secret, std::uint64_t epoch) {
  return derive(guard_secret, epoch, "TRAPtick");
}

trap_key derive_announce_key(const Secret& guard_secret, std::uint64_t epoch) {
  return derive(guard_secret, epoch, "TRAPannc");
}

} // namespace trap
