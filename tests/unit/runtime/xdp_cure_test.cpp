// SPDX-License-Identifier: Apache-2.0
// Words of drivers about a native program that they refuse. Those that an emulated machine can have
// are also met for real: tests/kernels/cards.sh.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/attach/xdp_cure.h"

namespace trap {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char generic[] = "write xdp_mode = \"generic\"";

std::string said_of(const std::string& reason, unsigned mtu = 1500) {
  return cure_of_refusal({"eth0", mtu, reason, "Operation not supported"});
}

TEST(XdpCure, says_that_a_driver_has_no_native_xdp_only_if_the_kernel_does) {
  EXPECT_THAT(said_of("Underlying driver does not support XDP in native mode"),
              AllOf(StartsWith("its driver has no native XDP"), HasSubstr(generic)));
  for (const char* reason : {"", "virtio_net: Can't set XDP while host is implementing GRO_HW/CSUM",
                             "veth: Peer MTU is too large to set XDP"})
    EXPECT_THAT(said_of(reason), AllOf(Not(HasSubstr("no native XDP")), EndsWith(generic)));
}

TEST(XdpCure, quotes_the_kernel_and_names_what_can_be_changed) {
  const struct {
    const char* reason;
    const char* cure;
  } all[] = {
      {"virtio_net: Can't set XDP while host is implementing LRO/CSUM, disable LRO/CSUM first",
       "only the hypervisor"},
      {"virtio_net: MTU too large to enable XDP", "ip link set eth0 mtu 1500; "},
      {"ena: XDP is not supported. Maximum MTU is 3498", "ip link set eth0 mtu 1500; "},
      {"MTU too large for linear frames and XDP prog does not support frags", "mtu 1500; "},
      {"veth: Peer MTU is too large to set XDP", "the veth's other end"},
      {"veth: XDP expects number of rx queues not less than peer tx queues", "ethtool -L eth0 "},
      {"mlx5_core: can't set XDP while GRO-HW/LRO is on, disable GRO-HW/LRO first",
       "ethtool -K eth0 "},
      {"driver: the moon is full", "dmesg"},
  };
  for (const auto& [reason, cure] : all)
    EXPECT_THAT(said_of(reason), AllOf(HasSubstr(std::string("\"") + reason + "\""),
                                       HasSubstr(cure), EndsWith(generic)));
}

TEST(XdpCure, advises_no_command_that_cannot_help) {
  EXPECT_THAT(said_of("virtio_net: Can't set XDP while host is implementing GRO_HW/CSUM"),
              AllOf(Not(HasSubstr("ethtool")), Not(HasSubstr("ip link"))));
  EXPECT_THAT(said_of(""), Not(HasSubstr("ip link"))) << "the MTU is the usual one";
}

TEST(XdpCure, names_the_mtu_where_it_may_be_the_reason) {
  EXPECT_THAT(said_of("virtio_net: MTU too large to enable XDP", 9000),
              HasSubstr("enable XDP\", and the MTU is 9000: "));
  EXPECT_THAT(said_of("", 9000),
              AllOf(HasSubstr("\"Operation not supported\", and the MTU is 9000: "),
                    HasSubstr("ip link set eth0 mtu 1500")));
  EXPECT_THAT(said_of("driver: not now", 1500), Not(HasSubstr("MTU")));
}

} // namespace
} // namespace trap
