// SPDX-License-Identifier: Apache-2.0
// An ACK that completes nothing meets a half-open socket as often as its sender likes. Counted as a
// completed handshake, it would hide a flood from a service with activate = "attack".
#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "lab/scenarios/plans.h"
#include "lab/scenarios/scenario.h"
#include "lab/traffic/answer_watch.h"
#include "lab/traffic/flood.h"
#include "lab/traffic/frame.h"
#include "runtime/packet/handshake.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// By their share alone, not by their rate, these SYNs are an attack.
constexpr int flood_per_second = 4000;
constexpr milliseconds detection_deadline{15000}, rest_again_deadline{15000};
constexpr int times_as_many = 3; // SYNs as without the ACKs are let through, and
constexpr std::uint64_t more = 2 * flood_per_second; // those of ticks that a busy machine lost

// One half-open socket of the service, and ACKs to it that leave it half-open: of a wrong number,
// and of the right one, but outside the window.
class BogusAcks {
public:
  static Result<std::unique_ptr<BogusAcks>> start(Scene& scene, Family family) {
    auto socket = FrameSocket::open(scene.host("router"), "trap");
    if (!socket)
      return socket.error();
    auto answers = AnswerWatch::start(scene.host("router"), "trap");
    if (!answers)
      return answers.error();
    Segment syn = {
        .from = {address_from(family == Family::ipv4 ? "198.18.77.7" : "2001:db8:77::7"), 40000},
        .to = {address_from(addresses_of("trap").address(family)), service_port},
        .seq = 1000,
        .flags = tcp_syn,
        .ip = {.fragment = 0}};
    if (auto sent = socket->send(frame_to(addresses_of("trap"), syn)); !sent)
      return sent.error();
    const auto answer = answers->next();
    const auto read = answer ? read_packet(answer->data(), answer->size()) : std::nullopt;
    if (!read)
      return Error{"the service does not answer the SYN"};
    return std::unique_ptr<BogusAcks>(new BogusAcks(std::move(*socket), syn, read->seq + 1));
  }

  ~BogusAcks() {
    is_over_ = true;
    sender_.join();
  }

private:
  BogusAcks(FrameSocket socket, const Segment& syn, std::uint32_t right_number)
      : socket_(std::move(socket)), syn_(syn) {
    Segment ack = syn;
    ack.flags = tcp_ack;
    ack.seq = syn.seq + 1;
    ack.ack = right_number + 77777;
    frames_.push_back(frame_to(addresses_of("trap"), ack));
    ack.seq = syn.seq + (1U << 30);
    ack.ack = right_number;
    frames_.push_back(frame_to(addresses_of("trap"), ack));
    sender_ = std::thread([this] { send_until_over(); });
  }

  // More than the SYNs of the flood. The SYN again keeps the socket alive, however full its queue.
  void send_until_over() const {
    constexpr int burst = 40;
    for (int bursts = 0; !is_over_; bursts++) {
      if (bursts % 20 == 0)
        static_cast<void>(socket_.send(frame_to(addresses_of("trap"), syn_)));
      for (int i = 0; i < burst; i++)
        static_cast<void>(socket_.send(frames_[static_cast<std::size_t>(i) % frames_.size()]));
      std::this_thread::sleep_for(milliseconds{4});
    }
  }

  FrameSocket socket_;
  Segment syn_;
  std::vector<Bytes> frames_;
  std::atomic<bool> is_over_ = false;
  std::thread sender_;
};

bool comes_to_be(Scene& scene, Family family, bool active, milliseconds deadline) {
  const std::string address = endpoint(addresses_of("trap").address(family), service_port);
  return becomes(
      [&] {
        const auto status = scene.trap().server().status();
        if (!status)
          return false;
        const auto service = std::ranges::find(status->services, address, &ServiceStatus::address);
        return service != status->services.end() && service->active == active;
      },
      deadline);
}

// The counters' movement from the first SYN of a flood until after TRAP has taken the service over.
std::optional<Counters> detect(Scene& scene, Family family, const std::string& what) {
  const auto before = scene.trap().server().counters();
  bool detected = false;
  {
    const auto flood = Flood::start(scene.trap().topology(), {.family = family,
                                                              .kind = FloodKind::syn,
                                                              .victim = "trap",
                                                              .port = service_port,
                                                              .per_second = flood_per_second});
    detected = flood && comes_to_be(scene, family, true, detection_deadline);
    scene.check(detected, what + ": TRAP answers", flood ? "it rests" : flood.error().message);
  }
  const auto after = scene.trap().server().counters();
  if (!detected || !before || !after)
    return std::nullopt;
  return difference(*before, *after);
}

void hide_a_flood(Scene& scene, Family family) {
  const std::string name{name_of(family)};
  // First, because a flood leaves no room for half-open sockets for a minute.
  auto acks = BogusAcks::start(scene, family);
  if (!scene.check(static_cast<bool>(acks), name + ": a socket is half-open",
                   acks ? "" : acks.error().message))
    return;
  const auto hidden = detect(scene, family, name + ", a flood and bogus ACKs");
  acks->reset();
  scene.check(comes_to_be(scene, family, false, rest_again_deadline),
              name + ": TRAP rests after that", "it is active still");
  const auto alone = detect(scene, family, name + ", a flood");
  scene.check(comes_to_be(scene, family, false, rest_again_deadline),
              name + ": TRAP rests after it", "it is active still");
  if (!alone || !hidden)
    return;
  const std::uint64_t without = count_of(*alone, "pass-syn-at-peace");
  const std::uint64_t with = count_of(*hidden, "pass-syn-at-peace");
  const std::uint64_t met = count_of(*hidden, "pass-handshake");
  scene.check(met > with, fmt::format("{}: {} ACKs met the half-open socket", name, met),
              fmt::format("fewer than {} SYNs: {}", with, text_of(*hidden)));
  scene.check(with <= times_as_many * without + more,
              fmt::format("{}: the stack got {} SYNs of the flood before TRAP answered, and {} "
                          "without the ACKs",
                          name, with, without),
              "the ACKs put the detection off");
}

void bogus_acks(Scene& scene) {
  // With 2 the stack has cookies, and no half-open sockets.
  if (!scene.done(scene.host("trap").set("ipv4/tcp_syncookies", "1"),
                  "the stack keeps half-open sockets"))
    return;
  for (const Family family : families)
    hide_a_flood(scene, family);
}

const Registration register_bogus_acks{{
    .name = "bogus-acks",
    .goal = "ACKs that complete nothing, to a half-open socket, hide no flood",
    .plan = resting_plan(1'000'000),
    .run_class = RunClass::busy,
    .play = bogus_acks,
}};

} // namespace
} // namespace trap::lab
