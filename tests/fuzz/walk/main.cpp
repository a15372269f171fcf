// SPDX-License-Identifier: Apache-2.0
// Differential fuzzing of one part's programs: each frame is read by the host's packet view and
// judged by the program in a test run, and both are compared with the oracle. README.md says how to
// repeat what it finds. Needs root.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <list>

#include "dataplane/packet.h"
#include "runtime/verdict_text.h"
#include "tests/bpf/harness/fixture.h"
#include "tests/bpf/harness/layout.h"
#include "tests/bpf/harness/loopback.h"
#include "tests/fuzz/walk/mutator.h"
#include "tests/fuzz/walk/oracle.h"
#include "tests/support/packet.h"

namespace trap::walk {
namespace {

using namespace trap::test;
using Clock = std::chrono::steady_clock;

constexpr std::size_t longest_seed = 1400;
constexpr std::size_t combinations = 600;   // of one fixture's variables
constexpr std::uint64_t totals_after = 500; // judgements
constexpr auto scene_lasts = std::chrono::seconds(2);

const Rig& rig_of(const std::string& part) {
  return part == "server" ? server_rig() : part == "guard" ? guard_rig() : client_rig();
}

// Every packet that the part's fixtures send.
class Seeds {
public:
  Seeds(const std::string& part, const TestConstants& constants) : constants_(constants) {
    for (const Fixture& fixture : read_fixtures(std::string(TRAP_TEST_FIXTURES) + "/" + part)) {
      const auto all = expand(fixture.json.value("for_each", Json::object()));
      const std::size_t stride = all.size() / combinations + 1;
      for (std::size_t i = 0; i < all.size(); i += stride)
        add(substitute(fixture.json, all[i]), all[i]);
    }
  }

  // Those of the scene.
  void add_scene(const std::string& part) {
    for (const Json& packet : packets_of(part)) {
      for (const int family : {4, 6}) {
        if (packet.contains("quoted"))
          add_error(packet, family);
        else
          frames_.insert(build_packet(packet, family, constants_));
      }
    }
  }

  std::vector<Bytes> frames() const { return {frames_.begin(), frames_.end()}; }

private:
  void add(const Json& fixture, const Variables& variables) {
    const auto family = variables.find("family");
    const int number =
        family != variables.end() ? family->second.get<int>() : fixture.value("family", 4);
    add_packet(fixture, number);
    for (const Json& step : fixture.value("steps", Json::array()))
      add_packet(step, number);
  }

  void add_packet(const Json& step, int family) {
    if (!step.contains("packet"))
      return;
    const Json& packet = step["packet"];
    if (packet.contains("eth") && packet["eth"] == "none")
      return;
    Bytes frame = build_packet(packet, family, constants_);
    if (frame.size() > ETH_HLEN && frame.size() <= longest_seed)
      frames_.insert(std::move(frame));
  }

  // "Port unreachable", which quotes the packet.
  void add_error(const Json& packet, int family) {
    Bytes message = {static_cast<std::uint8_t>(family == 4 ? 3 : 1),
                     static_cast<std::uint8_t>(family == 4 ? 3 : 4),
                     0,
                     0,
                     0,
                     0,
                     0,
                     0};
    Json quoted = packet["quoted"];
    quoted["eth"] = "none";
    const Bytes inner = build_packet(quoted, family, constants_);
    message.insert(message.end(), inner.begin(), inner.end());
    Json outer = {{"ip", packet["ip"]}, {"payload", to_hex(message)}};
    outer["ip"]["protocol"] = family == 4 ? 1 : 58;
    frames_.insert(build_packet(outer, family, constants_));
  }

  const TestConstants& constants_;
  std::set<Bytes> frames_;
};

// One frame a line, in hexadecimal; lines that begin with # say where it came from.
std::vector<Bytes> read_frames(const std::vector<std::string>& files) {
  std::vector<Bytes> frames;
  for (const std::string& path : files) {
    std::ifstream file(path);
    if (!file)
      throw std::runtime_error("cannot read " + path);
    for (std::string line; std::getline(file, line);) {
      if (!line.empty() && line[0] != '#')
        frames.push_back(read_hex(line));
    }
  }
  return frames;
}

// Packets of the fixtures and of the scene, and frames that once were judged wrongly.
std::vector<Bytes> seeds_of(const std::string& part, const TestConstants& constants) {
  Seeds seeds(part, constants);
  seeds.add_scene(part);
  std::vector<Bytes> frames = seeds.frames();
  const std::string found = std::string(TRAP_WALK_FOUND) + "/" + part + ".txt";
  if (std::filesystem::exists(found)) {
    for (Bytes& frame : read_frames({found}))
      frames.push_back(std::move(frame));
  }
  return frames;
}

// Addresses, numbers and options that mean something in the scenes.
std::vector<Bytes> words_of(const TestConstants& constants) {
  std::vector<Bytes> words = {{0, 80}, {0, 81},   {0, 82},   {0, 83},
                              {0, 84}, {156, 64}, {156, 66}, {160, 40}};
  const auto add_number = [&](std::uint64_t number) {
    for (const std::uint64_t near : {number, number + 1}) {
      words.push_back({static_cast<std::uint8_t>(near >> 24), static_cast<std::uint8_t>(near >> 16),
                       static_cast<std::uint8_t>(near >> 8), static_cast<std::uint8_t>(near)});
    }
  };
  add_number(constants.number(Json("$isn"), 4));
  for (const auto& [name, value] : constants.values().items()) {
    if (name.starts_with("cookie.") && name.find("epoch-start") == std::string::npos)
      add_number(value.get<std::uint64_t>());
    if (!name.starts_with("address."))
      continue;
    const Address address = constants.address(value.get<std::string>(), name[9] - '0');
    const Bytes bytes = bytes_of(address.value);
    words.emplace_back(bytes.begin() + (name[9] == '4' ? 12 : 0), bytes.end());
  }
  for (const int family : {4, 6}) {
    for (const char* const option :
         {R"([{"offer": 0}])", R"([{"accept": 0}])", R"([{"ticket": "$ticket.valid"}])",
          R"([{"ticket": "$ticket.valid", "experimental": true}])",
          R"([{"announce": "$announce.valid"}])", R"([{"consent": "$consent.valid"}])"})
      words.push_back(build_options(Json::parse(option), family, constants));
  }
  words.push_back(Bytes(10)); // of IPv4-mapped addresses
  words.push_back({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff});
  return words;
}

class Differential {
public:
  Differential(const std::string& part, const TestConstants& constants)
      : part_(part), constants_(constants), rig_(rig_of(part)), oracle_(part, constants) {
    set_scene();
  }

  // "" or what is different.
  std::string check(const std::string& program, const Bytes& frame) {
    if (part_ == "client" && is_refused(frame))
      return "";
    if (Clock::now() - set_ > scene_lasts)
      set_scene();
    std::string wrong = check_view(frame);
    if (wrong.empty())
      wrong = check_program(program, frame);
    checked_++;
    return wrong;
  }

  const std::map<std::string, std::uint64_t>& given() const { return given_; }
  std::uint64_t checked() const { return checked_; }

private:
  // The kernel makes no socket buffer of an IP packet without its header.
  static bool is_refused(const Bytes& frame) {
    const unsigned type = static_cast<unsigned>(frame[12]) << 8 | frame[13];
    return (type == 0x0800 && frame.size() < ETH_HLEN + 20) ||
           (type == 0x86dd && frame.size() < ETH_HLEN + 40);
  }

  // Everything as it was, and the time with it.
  void set_scene() {
    if (counted_.empty())
      object_ = &fresh_object(rig_, constants_);
    else
      rig_.set_time(*object_, constants_, constants_.moment("now"));
    if (rig_.set_rates)
      rig_.set_rates(*object_, Json::object());
    clear_tables();
    counted_ = object_->counts(watched_slots);
    judged_ = 0;
    set_ = Clock::now();
  }

  // The tables that programs fill, as the scene has them.
  void clear_tables() {
    for (const std::string& name : object_->map_names()) {
      if (object_->is_hash(name) && object_->map_type(name) != BPF_MAP_TYPE_HASH)
        object_->clear(name);
    }
    const Json scene = scene_of(part_);
    for (const auto& map : scene.items()) {
      for (const Json& entry : map.value()) {
        for (const int family : {4, 6}) {
          if (entry.value("family", family) == family)
            put(map.key(), entry, family);
        }
      }
    }
  }

  void put(const std::string& map, Json entry, int family) {
    entry.erase("family");
    const DescribedEntry described =
        describe_entry(map, entry, family, constants_, constants_.moment("now")["unix_s"]);
    object_->put(map, described.key, described.value);
  }

  // Packets that were counted at a place of map `counters`.
  std::uint64_t packets_at(std::uint32_t place) {
    values_.resize(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    if (bpf_map_lookup_elem(object_->map_fd("counters"), &place, values_.data()) != 0)
      throw std::runtime_error("cannot read map counters");
    std::uint64_t packets = 0;
    for (const trap_count& value : values_)
      packets += value.packets;
    return packets;
  }

  // The place that the last judgement was counted at. Those of late are looked at first: to read
  // all takes milliseconds. That nothing else was counted is seen when all are read.
  std::uint32_t counted_place() {
    judged_++;
    for (auto place = places_.begin(); place != places_.end(); ++place) {
      if (packets_at(*place) == counted_[*place].packets)
        continue;
      counted_[*place].packets++;
      places_.splice(places_.begin(), places_, place);
      return places_.front();
    }
    const std::vector<trap_count> now = object_->counts(watched_slots);
    for (std::uint32_t place = 0; place < now.size(); place++) {
      if (now[place].packets == counted_[place].packets)
        continue;
      counted_[place].packets++;
      places_.push_front(place);
      return place;
    }
    throw std::runtime_error("a packet was not counted");
  }

  // "" if every judgement since the scene was set was counted once, and nothing else was.
  std::string check_total() {
    const std::vector<trap_count> now = object_->counts(watched_slots);
    for (std::size_t i = 0; i < now.size(); i++) {
      if (now[i].packets != counted_[i].packets)
        return "a packet was counted more than once: " +
               std::string(verdict_name(static_cast<trap_verdict>(i % TRAP_VERDICT_SLOTS)));
    }
    return "";
  }

  // The host's reading against the oracle's.
  std::string check_view(const Bytes& frame) {
    trap_packet packet = {};
    const trap_layer layer = trap_read_frame(&packet, frame.data(), frame.data() + frame.size());
    const Reading reading = read_frame(frame);
    const auto layer_of = [](trap_layer is) {
      return is == TRAP_LAYER_TCP     ? Layer::tcp
             : is == TRAP_LAYER_OTHER ? Layer::other
                                      : Layer::defective;
    };
    view_defect_ = layer == TRAP_LAYER_DEFECTIVE ? verdict_name(packet.defect) : "";
    if (layer_of(layer) != reading.layer)
      return "the packet view says layer " + std::to_string(layer) + ", the oracle " +
             std::to_string(static_cast<int>(reading.layer));
    if (layer == TRAP_LAYER_DEFECTIVE && !reading.defects.contains(view_defect_))
      return "the packet view says " + view_defect_;
    if (layer != TRAP_LAYER_TCP)
      return "";
    const bool same = packet.l3_offset == reading.l3 && packet.l4_offset == reading.l4 &&
                      packet.l3_end == reading.ip_end &&
                      packet.header_bytes == reading.header_bytes &&
                      packet.flags == reading.flags && TRAP_FROM_BE32(packet.seq) == reading.seq &&
                      TRAP_FROM_BE32(packet.ack) == reading.ack &&
                      TRAP_FROM_BE16(packet.source_port) == reading.source.port &&
                      TRAP_FROM_BE16(packet.destination_port) == reading.destination.port &&
                      ends_with(packet.source, reading.source) &&
                      ends_with(packet.destination, reading.destination);
    return same ? "" : "the packet view reads other fields than the oracle";
  }

  static bool ends_with(const trap_address& address, const End& end) {
    const Bytes bytes = bytes_of(address);
    return std::equal(end.address.rbegin(), end.address.rend(), bytes.rbegin());
  }

  std::string check_program(const std::string& program, const Bytes& frame) {
    const Outcome outcome = object_->run(program, frame);
    const auto verdict = static_cast<trap_verdict>(counted_place() % TRAP_VERDICT_SLOTS);
    const std::string name = verdict_name(verdict);
    given_[name]++;
    const Names allowed = oracle_.allowed(program, frame);
    std::string wrong;
    if (!allowed.contains(name)) {
      wrong = "it gives " + name + ", the oracle allows";
      for (const std::string& one : allowed)
        wrong += " " + one;
    }
    if (wrong.empty() && part_ != "client" && read_frame(frame).defects.contains(name) &&
        !view_defect_.empty() && view_defect_ != name)
      wrong = "it gives " + name + ", the host's packet view " + view_defect_;
    if (wrong.empty())
      wrong = check_action(verdict, name, frame, outcome);
    if (wrong.empty() && judged_ % totals_after == 0)
      wrong = check_total();
    if (writes_state(name, frame))
      clear_tables();
    return wrong;
  }

  std::string check_action(trap_verdict verdict, const std::string& name, const Bytes& frame,
                           const Outcome& outcome) const {
    const bool xdp = part_ != "client";
    const trap_action action = trap_verdict_action(verdict);
    const auto is = [&](int of_xdp, int of_tc) {
      return outcome.action == static_cast<std::uint32_t>(xdp ? of_xdp : of_tc);
    };
    const bool right = action == TRAP_ACTION_PASS    ? is(XDP_PASS, TC_ACT_UNSPEC)
                       : action == TRAP_ACTION_REPLY ? is(XDP_TX, TC_ACT_REDIRECT)
                                                     : is(XDP_DROP, TC_ACT_SHOT);
    if (!right && name != "pass-to-service" && !name.starts_with("pass-syn-"))
      return name + " became action " + std::to_string(outcome.action);
    const bool rewrites = name == "pass-to-service" || name == "pass-from-service" ||
                          name == "pass-icmp-translated" || name.ends_with("ticketed") ||
                          name == "pass-cookie" || name == "pass-behind-cookie";
    return action == TRAP_ACTION_PASS && !rewrites && outcome.frame != frame
               ? name + " changed the frame"
               : "";
  }

  // Verdicts after which the tables differ from the scene. The server's do not decide anything.
  bool writes_state(const std::string& name, const Bytes& frame) const {
    static const Names idle = {"pass-other",      "pass-from-service",
                               "pass-to-service", "pass-icmp-translated",
                               "pass-icmp-flow",  "pass-redirect-unexpected"};
    constexpr std::uint8_t syn = 2;
    const bool begins = name == "pass-from-service" && (read_frame(frame).flags & syn) != 0;
    if (part_ == "server" || (idle.contains(name) && !begins) || name.starts_with("drop-"))
      return false;
    constexpr std::uint8_t fin_or_rst = 5;
    return name != "pass-flow" || (read_frame(frame).flags & fin_or_rst) != 0;
  }

  const std::string part_;
  const TestConstants& constants_;
  const Rig& rig_;
  const Oracle oracle_;
  Object* object_ = nullptr;
  Clock::time_point set_;
  std::vector<trap_count> counted_;
  std::vector<trap_count> values_; // of all CPUs
  std::list<std::uint32_t> places_;
  std::uint64_t judged_ = 0;
  std::string view_defect_;
  std::map<std::string, std::uint64_t> given_;
  std::uint64_t checked_ = 0;
};

struct Order {
  std::string part;
  std::uint64_t frames = 20000;
  unsigned seconds = 0;
  std::uint64_t seed = 1;
  std::vector<std::string> repeat;
};

class Run {
public:
  Run(const Order& order, const TestConstants& constants)
      : order_(order), differential_(order.part, constants),
        corpus_(seeds_of(order.part, constants)), words_(words_of(constants)) {}

  int all() {
    if (corpus_.empty()) {
      std::fprintf(stderr, "%s: there are no seeds\n", order_.part.c_str());
      return 1;
    }
    for (const Bytes& frame : corpus_)
      everywhere(frame);
    Mutator mutator(order_.seed, words_);
    const auto end = Clock::now() + std::chrono::seconds(order_.seconds);
    for (std::uint64_t i = 0; differences_ < most_differences && going_on(i, end); i++)
      everywhere(mutator.next(corpus_));
    return report();
  }

  int repeat(const std::vector<Bytes>& frames) {
    for (const Bytes& frame : frames)
      everywhere(frame);
    return report();
  }

private:
  static constexpr int most_differences = 5;

  bool going_on(std::uint64_t frames, Clock::time_point end) const {
    return order_.seconds > 0 ? Clock::now() < end : frames < order_.frames;
  }

  void everywhere(const Bytes& frame) {
    for (const std::string& program : rig_of(order_.part).programs) {
      const std::string wrong = differential_.check(program, frame);
      if (wrong.empty() || differences_ >= most_differences)
        continue;
      differences_++;
      std::printf("%s: %s\n%s\n", program.c_str(), wrong.c_str(), to_hex(frame).c_str());
    }
  }

  int report() const {
    std::printf("%s: %llu judgements, %zu seeds, seed %llu\n", order_.part.c_str(),
                static_cast<unsigned long long>(differential_.checked()), corpus_.size(),
                static_cast<unsigned long long>(order_.seed));
    for (const auto& [name, times] : differential_.given())
      std::printf("  %-28s %llu\n", name.c_str(), static_cast<unsigned long long>(times));
    return differences_ == 0 ? 0 : 1;
  }

  const Order order_;
  Differential differential_;
  std::vector<Bytes> corpus_;
  std::vector<Bytes> words_;
  int differences_ = 0;
};

} // namespace
} // namespace trap::walk

int main(int argc, char** argv) {
  trap::walk::Order order;
  CLI::App app("Differential fuzzing of a part's programs against docs/packet-walk.md");
  app.add_option("part", order.part)
      ->required()
      ->check(CLI::IsMember({"server", "guard", "client"}));
  app.add_option("--frames", order.frames, "frames to make from the seeds");
  app.add_option("--seconds", order.seconds, "how long to make frames, instead of how many");
  app.add_option("--seed", order.seed, "what the frames are made by");
  app.add_option("--repeat", order.repeat,
                 "judge the frames of these files, one a line in hexadecimal, and no other");
  CLI11_PARSE(app, argc, argv);
  if (geteuid() != 0) {
    std::fprintf(stderr, "%s: loads BPF programs, which needs root; run it as root\n", argv[0]);
    return 1;
  }
  try {
    trap::test::keep_libbpf_quiet();
    trap::test::enter_own_network();
    const trap::test::TestConstants constants;
    trap::walk::Run run(order, constants);
    return order.repeat.empty() ? run.all() : run.repeat(trap::walk::read_frames(order.repeat));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
}
