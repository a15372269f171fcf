// SPDX-License-Identifier: Apache-2.0
// The verdict table's words for people: dataplane/verdict.h holds them.
#pragma once

namespace trap {

// The name that operators see, "reply-syn-ack"; "unknown" for a number that is no verdict.
const char* verdict_name(int verdict);

// One sentence that says what the verdict means; empty for a number that is no verdict.
const char* verdict_text(int verdict);

} // namespace trap
