// SPDX-License-Identifier: Apache-2.0
#include "runtime/attach/xdp_cure.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include <fmt/core.h>

namespace trap {
namespace {

constexpr unsigned usual_mtu = 1500;
constexpr std::string_view no_native_xdp = "Underlying driver does not support XDP";

bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

// A part of a sentence: what to change, before the choice of generic mode.
std::string change_by_words(const NativeRefusal& refusal) {
  const std::string_view words = refusal.reason;
  // virtio's features were agreed with the hypervisor when the driver began: ethtool changes none.
  if (has_any(words, {"while host is implementing"}))
    return "only the hypervisor can change that: it must offer control of the guest's offloads "
           "(in QEMU ctrl_guest_offloads=on), or no guest offloads";
  if (has_any(words, {"Peer MTU"}))
    return "lower the MTU of the veth's other end";
  if (has_any(words, {"MTU", "mtu", "frame size", "too large", "too big"}))
    return fmt::format("ip link set {} mtu {}; the kernel's log (dmesg) may name the greatest",
                       refusal.interface, usual_mtu);
  if (has_any(words, {"queue", "channel", "rings"}))
    return fmt::format("ethtool -L {} changes its queues", refusal.interface);
  if (has_any(words, {"LRO", "GRO", "RSC", "CSUM", "checksum", "offload"}))
    return fmt::format("ethtool -K {} switches offloads off", refusal.interface);
  if (refusal.reason.empty() && refusal.mtu > usual_mtu)
    return fmt::format("the MTU may be too large: ip link set {} mtu {}; the kernel's log (dmesg) "
                       "may say more",
                       refusal.interface, usual_mtu);
  return "the kernel's log (dmesg) may say more";
}

} // namespace

std::string cure_of_refusal(const NativeRefusal& refusal) {
  // The kernel itself says this. A driver that has native XDP may answer with the same error
  // number, with other words or none, such as for its MTU.
  if (refusal.reason.starts_with(no_native_xdp))
    return "its driver has no native XDP: write xdp_mode = \"generic\" if slow packets are "
           "acceptable";
  const std::string& said = refusal.reason.empty() ? refusal.error : refusal.reason;
  const std::string mtu =
      refusal.mtu > usual_mtu ? fmt::format(", and the MTU is {}", refusal.mtu) : "";
  return fmt::format("the kernel says \"{}\"{}: {}, or write xdp_mode = \"generic\"", said, mtu,
                     change_by_words(refusal));
}

} // namespace trap
