// SPDX-License-Identifier: Apache-2.0
#include "client/daemon/redirects/translator.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "runtime/log.h"

namespace trap::client {
namespace {

constexpr char name[] = "ipv4only.arpa";
constexpr __u32 addresses_of_name[] = {0xc00000aa, 0xc00000ab}; // 192.0.0.170 and .171
constexpr unsigned lengths[] = {96, 64, 56, 48, 40, 32};        // RFC 6052 2.2
constexpr std::chrono::minutes between_questions{10};
constexpr std::chrono::seconds after_failure{30};

bool embeds_name(const trap_address& address, unsigned bits) {
  __be32 ipv4 = 0;
  const bool has_gap = bits != 96 && address.bytes[8] != 0;
  return !has_gap && trap_nat64_embeds_v4(&address, &address, bits, &ipv4) != 0 &&
         std::ranges::find(addresses_of_name, TRAP_FROM_BE32(ipv4)) != std::end(addresses_of_name);
}

} // namespace

std::optional<Prefix> translator_prefix(std::span<const trap_address> addresses) {
  for (const trap_address& address : addresses)
    for (const unsigned bits : lengths)
      if (embeds_name(address, bits))
        return Prefix{trap_address_mask(address, TRAP_IPV6, bits), bits};
  return std::nullopt;
}

struct TranslatorFinder::Question {
  std::atomic<bool> is_over = false;
  int failure = 0; // of getaddrinfo
  std::vector<trap_address> addresses;

  void ask() {
    addrinfo hints = {};
    hints.ai_family = AF_INET6;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    failure = getaddrinfo(name, nullptr, &hints, &list);
    for (const addrinfo* at = failure == 0 ? list : nullptr; at; at = at->ai_next) {
      trap_address address;
      std::memcpy(address.bytes, &reinterpret_cast<const sockaddr_in6*>(at->ai_addr)->sin6_addr,
                  sizeof(address.bytes));
      addresses.push_back(address);
    }
    if (failure == 0)
      freeaddrinfo(list);
    is_over = true;
  }
};

void TranslatorFinder::forget() {
  question_.reset(); // its answer is of no interest any more
  found_.reset();
  due_ = {};
}

bool TranslatorFinder::tick() {
  const auto now = std::chrono::steady_clock::now();
  if (!question_ && now >= due_) {
    auto question = std::make_shared<Question>();
    due_ = now + after_failure;
    try {
      std::thread([question] { question->ask(); }).detach();
      question_ = std::move(question);
    } catch (const std::system_error& error) {
      log::warn("cannot ask for a translator's prefix: no thread: {}", error.what());
    }
    return false;
  }
  if (!question_ || !question_->is_over)
    return false;
  const auto question = std::move(question_);
  const bool has_none = question->failure == EAI_NONAME || question->failure == EAI_NODATA;
  if (question->failure != 0 && !has_none)
    return false; // no answer: what was found stays
  due_ = now + between_questions;
  std::optional<Prefix> found = translator_prefix(question->addresses).value_or(Prefix{});
  const bool is_other = found != found_;
  found_ = found;
  return is_other;
}

} // namespace trap::client
