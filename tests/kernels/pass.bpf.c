// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The smallest program for XDP: whether a driver takes it does not depend on what TRAP's own do.
__attribute__((section("xdp"), used)) int pass(void* context) {
  return context ? 2 : 2; /* XDP_PASS */
}
