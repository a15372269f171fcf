// SPDX-License-Identifier: Apache-2.0
// Any bytes as a request to the control socket or the metrics listener: a request is complete,
// refused with a status and a line, or wants more. Bytes behind a complete or refused one change
// nothing, and it was neither complete nor refused differently before its last byte came.
#include "runtime/control/http_request.h"
#include "tests/fuzz/text_fuzz.h"

using namespace trap;
using State = HttpReading::State;

static void check(const HttpReading& reading, std::string_view bytes, const HttpLimits& limits) {
  if (reading.state == State::refused) {
    fuzz::require(reading.status >= 400 && reading.status < 600);
    fuzz::require_message(reading.line);
  }
  if (reading.state == State::wants_more)
    fuzz::require(bytes.size() <= limits.head_bytes + limits.body_bytes + 4);
  if (reading.state == State::complete) {
    fuzz::require(!reading.request.method.empty() && !reading.request.path.empty());
    fuzz::require(reading.request.body.size() <= limits.body_bytes);
  }
}

static bool same(const HttpReading& a, const HttpReading& b) {
  return a.state == b.state && a.status == b.status && a.line == b.line &&
         a.request.method == b.request.method && a.request.path == b.request.path &&
         a.request.query == b.request.query && a.request.body == b.request.body;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  for (const std::size_t body_bytes : {std::size_t{0}, std::size_t{64}}) {
    const HttpLimits limits = {.head_bytes = 256, .body_bytes = body_bytes};
    const HttpReading reading = read_http_request(bytes, limits);
    check(reading, bytes, limits);
    if (reading.state == State::wants_more) {
      for (std::size_t cut = 0; cut < size; cut++)
        fuzz::require(read_http_request(bytes.substr(0, cut), limits).state == State::wants_more);
      continue;
    }
    fuzz::require(same(reading, read_http_request(std::string(bytes) + "GET / HTTP/1.1", limits)) ||
                  reading.state == State::refused);
  }
  return 0;
}
