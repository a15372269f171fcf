// SPDX-License-Identifier: Apache-2.0
#include "lab/deployment/visit.h"

namespace trap::lab {

bool whole(const Response& response, std::uint64_t bytes) {
  return response.complete() && response.bytes == bytes;
}

std::string complaint(const ExpectedVisit& expected, const Reading& moved,
                      const Response& response) {
  if (!whole(response, expected.bytes))
    return response.text();
  if (response.remote_address != addresses_of("trap").address(expected.family))
    return "the application saw " + response.remote_address;
  const std::uint64_t redirects = count_of(moved.server, "reply-redirect");
  if (expected.kind == VisitKind::first)
    return redirects == 1 && count_of(moved.client, "reply-reissued-syn") == 1
               ? ""
               : "the first connection was not handed over by the server";
  if (count_of(moved.client, "pass-syn-ticketed") == 0)
    return "the later connection did not go straight to the service";
  return redirects == 0 && (expected.server_flooded || count_of(moved.server, "reply-syn-ack") == 0)
             ? ""
             : "the later connection crossed the TRAP server";
}

} // namespace trap::lab
