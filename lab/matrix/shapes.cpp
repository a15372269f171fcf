// SPDX-License-Identifier: Apache-2.0
#include "lab/matrix/shapes.h"

#include <algorithm>

#include "runtime/packet/tcp_options.h"

namespace trap::lab {
namespace {

constexpr std::uint8_t ece_cwr = 0xc0;

const Shape shapes[] = {
    {.name = "Linux", .layout = "MSTNW"},
    {.name = "Linux with ECN", .layout = "MSTNW", .ecn = ece_cwr},
    {.name = "Linux with accurate ECN", .layout = "MSTNW", .ecn = ece_cwr, .accurate_ecn = true},
    {.name = "Linux without timestamps", .layout = "MNNSNW"},
    {.name = "Linux without SACK", .layout = "MNNTNW"},
    {.name = "Linux without window scaling", .layout = "MST"},
    {.name = "Windows", .layout = "MNWNNS", .scale = 8, .window = 65535},
    {.name = "Windows with ECN", .layout = "MNWNNS", .scale = 8, .window = 65535, .ecn = ece_cwr},
    {.name = "macOS", .layout = "MNWNNTSEE", .scale = 6, .window = 65535},
    {.name = "iOS", .layout = "MNWNNTSEE", .scale = 5, .window = 65535, .ecn = ece_cwr},
    {.name = "Android", .layout = "MSTNW", .mss = 1400, .scale = 8, .window = 65535},
    {.name = "FreeBSD", .layout = "MNWST", .scale = 6, .window = 65535},
    {.name = "OpenBSD", .layout = "MNNSNWNNT", .scale = 6, .window = 16384},
    {.name = "NetBSD without timestamps", .layout = "MNWSNN", .scale = 3, .window = 32768},
    {.name = "lwIP", .layout = "M", .mss = 536, .window = 5840},
    {.name = "a stack without options", .layout = "", .window = 8192},
    {.name = "a client behind PPPoE", .layout = "MSTNW", .mss = 1452},
    {.name = "a marked SYN", .layout = "MSTNW", .traffic_class = 0x28},
    {.name = "a client on the link", .layout = "MSTNW", .hop_limit = 255},
};

} // namespace

Bytes Shape::options(std::uint32_t timestamp) const {
  if (bytes)
    return *bytes;
  TcpOptions options;
  bool ended = false;
  for (const char each : layout) {
    if (each == 'M')
      options.mss(mss);
    else if (each == 'S')
      options.sack_permitted();
    else if (each == 'T')
      options.timestamps(timestamp, 0);
    else if (each == 'W')
      options.window_scale(scale);
    else if (each == 'N')
      options.nop();
    else
      ended = true; // the builder pads with zeros, which end the options
  }
  if (!ended)
    options.align();
  return options.bytes();
}

std::span<const Shape> all_shapes() {
  return shapes;
}

const Shape& shape_of(std::string_view name) {
  return *std::ranges::find(shapes, name, &Shape::name);
}

} // namespace trap::lab
