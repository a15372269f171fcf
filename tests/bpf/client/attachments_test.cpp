// SPDX-License-Identifier: Apache-2.0
// trap-client has its programs verified once for each kind of interface, and not all the time
// where the kernel refuses them.
#include "client/daemon/interfaces/attachments.h"

#include <gtest/gtest.h>

namespace trap::client {
namespace {

TEST(ClientAttachments, ask_a_kernel_that_refuses_programs_once_for_each_kind) {
  int asked = 0;
  Attachments attachments("/nowhere", [&](Side, Framing) -> Result<const bpf_object*> {
    asked++;
    return Error{"the verifier refuses it"};
  });
  Undo undo;
  const PlannedInterface lan = {"lan0", 7, Side::lan, Framing::ethernet};
  const PlannedInterface tunnel = {"tun0", 8, Side::host, Framing::ip};
  for (int second = 0; second < 5; second++) {
    for (const PlannedInterface& interface : {lan, tunnel}) {
      const auto attached = attachments.attach(interface, undo);
      ASSERT_FALSE(attached);
      EXPECT_EQ(attached.error().message, "the verifier refuses it");
    }
  }
  EXPECT_EQ(asked, 2);
  EXPECT_TRUE(attachments.pins().empty());
  EXPECT_FALSE(attachments.state_of(lan).attached);
}

} // namespace
} // namespace trap::client
