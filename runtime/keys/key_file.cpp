// SPDX-License-Identifier: Apache-2.0
#include "runtime/keys/key_file.h"

#include <cerrno>
#include <sstream>
#include <unistd.h>
#include <vector>

#include <fmt/core.h>
#include <sodium.h>

#include "runtime/fd.h"

namespace trap {
namespace {

constexpr char master_kind[] = "trap-master-1";
constexpr char guard_kind[] = "trap-guard-1";
constexpr std::size_t key_file_limit_bytes = 4096;

Error usage(const std::string& path, const std::string& reason) {
  return Error{fmt::format("{}: {}", path, reason), ExitCode::usage};
}

Result<std::string> read_private_file(const std::string& path) {
  auto text = read_file(path, key_file_limit_bytes, FileTrust::secret, "key ");
  if (!text && access(path.c_str(), F_OK) != 0 && errno == ENOENT)
    return Error{text.error().message +
                     ": trapctl key makes keys (man trapctl), or name another file",
                 ExitCode::usage};
  return text;
}

std::vector<std::string> split_words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;)
    words.push_back(word);
  return words;
}

Result<Secret> decode_secret(const std::string& path, const std::string& base64) {
  Secret secret;
  std::size_t decoded_bytes = 0;
  int failed =
      sodium_base642bin(secret.bytes.data(), secret.bytes.size(), base64.data(), base64.size(),
                        nullptr, &decoded_bytes, nullptr, sodium_base64_VARIANT_ORIGINAL);
  if (failed || decoded_bytes != secret.bytes.size())
    return usage(
        path,
        "the key is not 32 bytes in Base64, shortened or damaged: make it again with trapctl key");
  return secret;
}

std::string encode_secret(const Secret& secret) {
  char text[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)];
  sodium_bin2base64(text, sizeof(text), secret.bytes.data(), secret.bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  std::string out(text);
  sodium_memzero(text, sizeof(text));
  return out;
}

// The words of a key file of `kind`; an error if it is none.
Result<std::vector<std::string>> read_words(const std::string& path, const std::string& kind,
                                            std::size_t count) {
  auto text = read_private_file(path);
  if (!text)
    return text.error();
  std::vector<std::string> words = split_words(*text);
  sodium_memzero(text->data(), text->size());
  if (words.empty())
    return usage(path, "key file is empty: make it again with trapctl key");
  if (words[0] != kind && kind == guard_kind && words[0] == master_kind)
    return usage(path, "this is a master key, which must not leave the TRAP servers: replace it by "
                       "the output of trapctl key derive GUARD");
  if (words[0] != kind && kind == master_kind && words[0] == guard_kind)
    return usage(
        path, "this is a guard's key: a TRAP server needs the master key of trapctl key generate");
  if (words[0] != kind)
    return usage(path, fmt::format("not a key file of kind {}: make it with trapctl key", kind));
  if (words.size() != count)
    return usage(path, fmt::format("a line of {} words was expected after which nothing follows: "
                                   "make it again with trapctl key",
                                   count));
  return words;
}

} // namespace

Result<Secret> read_master_key(const std::string& path) {
  auto words = read_words(path, master_kind, 2);
  if (!words)
    return words.error();
  auto secret = decode_secret(path, (*words)[1]);
  sodium_memzero((*words)[1].data(), (*words)[1].size());
  return secret;
}

Result<GuardKey> read_guard_key(const std::string& path) {
  auto words = read_words(path, guard_kind, 3);
  if (!words)
    return words.error();
  if (!is_guard_name((*words)[1]))
    return usage(path, "its second word is not a guard's name: make it again with trapctl key");
  auto secret = decode_secret(path, (*words)[2]);
  sodium_memzero((*words)[2].data(), (*words)[2].size());
  if (!secret)
    return secret.error();
  return GuardKey{(*words)[1], *secret};
}

Result<Secret> generate_master_key() {
  if (sodium_init() < 0)
    return Error{"cannot generate a key: libsodium found no source of random numbers"};
  Secret master;
  randombytes_buf(master.bytes.data(), master.bytes.size());
  return master;
}

std::string format_master_key(const Secret& master) {
  return fmt::format("{} {}\n", master_kind, encode_secret(master));
}

std::string format_guard_key(const GuardKey& key) {
  return fmt::format("{} {} {}\n", guard_kind, key.name, encode_secret(key.secret));
}

} // namespace trap
