// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel/wire_watch.h"
#include "runtime/knock/knock_wire.h"

namespace trap {
namespace {

class TracedWire : public KnockWire {
public:
  explicit TracedWire(std::unique_ptr<WireWatch> watch) : watch_(std::move(watch)) {}

  int event_fd() const override { return watch_->event_fd(); }

  std::vector<Sighting> take() override {
    std::vector<Sighting> sightings;
    for (const WireWatch::Sighting& seen : watch_->take())
      if (const auto segment = read_packet(seen.packet.data(), seen.packet.size()))
        sightings.push_back({*segment, seen.outgoing, seen.at_ns});
    return sightings;
  }

private:
  std::unique_ptr<WireWatch> watch_;
};

Error cannot_see(const Error& why) {
  return Error{"cannot see the segments of a knock: " + why.message};
}

} // namespace

Result<std::unique_ptr<KnockWire>> open_traced_wire(trap_family family, std::uint16_t port) {
  auto watch = WireWatch::make();
  if (!watch)
    return cannot_see(watch.error());
  if (auto begun = (*watch)->begin(family, port, WireWatch::Ways::both); !begun)
    return cannot_see(begun.error());
  return std::unique_ptr<KnockWire>(std::make_unique<TracedWire>(std::move(*watch)));
}

} // namespace trap
