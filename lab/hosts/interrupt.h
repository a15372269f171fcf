// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP as a file descriptor that becomes readable and stays so. Everything
// that waits waits on it too, so that the lab is taken down in the ordinary way, by its
// destructors.
#pragma once

namespace trap::lab {

// Installs the handlers; call once, before anything that has to be undone exists.
void watch_for_interrupts();

[[nodiscard]] bool interrupted();

// Readable once interrupted; -1 before watch_for_interrupts().
[[nodiscard]] int interrupt_descriptor();

} // namespace trap::lab
