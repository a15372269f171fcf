// SPDX-License-Identifier: Apache-2.0
#include "runtime/verdict_text.h"

#include "dataplane/verdict.h"

namespace trap {

const char* verdict_name(int verdict) {
  static const char* const verdict_names[] = {
#define TRAP_VERDICT_NAME(id, action, parts, about, name, text) name,
      TRAP_VERDICTS(TRAP_VERDICT_NAME)
#undef TRAP_VERDICT_NAME
  };
  return verdict >= 0 && verdict < TRAP_VERDICT_COUNT ? verdict_names[verdict] : "unknown";
}

const char* verdict_text(int verdict) {
  static const char* const verdict_texts[] = {
#define TRAP_VERDICT_TEXT(id, action, parts, about, name, text) text,
      TRAP_VERDICTS(TRAP_VERDICT_TEXT)
#undef TRAP_VERDICT_TEXT
  };
  return verdict >= 0 && verdict < TRAP_VERDICT_COUNT ? verdict_texts[verdict] : "";
}

} // namespace trap
