// SPDX-License-Identifier: Apache-2.0
// The SYN-ACKs that the service's host sends, as they come to the router's end of its link.
#pragma once

#include <optional>

#include "lab/hosts/host.h"
#include "runtime/fd.h"
#include "runtime/packet/segment.h"
#include "runtime/result.h"

namespace trap::lab {

class AnswerWatch {
public:
  static Result<AnswerWatch> start(const Host& router, std::string_view towards);

  // The next SYN-ACK, from its IP header on. None if none comes for a second.
  [[nodiscard]] std::optional<Bytes> next() const;

private:
  explicit AnswerWatch(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

// Whether the checksums of an IP packet with a TCP segment are right.
bool has_right_checksums(const Bytes& packet);

} // namespace trap::lab
