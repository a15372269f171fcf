// SPDX-License-Identifier: Apache-2.0
// trapctl capture: samples of packets with their verdicts, in files that tshark reads.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "lab/scenarios/daemons/daemon_host.h"

namespace trap::lab {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds begins_within{200};

// SYNs of forty connects, to port 80 of the address that is the first argument.
constexpr char many_connects[] = "import socket, sys, time\n"
                                 "held = [socket.socket() for _ in range(40)]\n"
                                 "for one in held:\n"
                                 "    one.setblocking(False)\n"
                                 "    one.connect_ex((sys.argv[1], 80))\n"
                                 "time.sleep(0.2)\n";

class Capturing {
public:
  Capturing(Scene& scene, DaemonHost& host) : scene_(scene), host_(host) {}

  void play() {
    for (const DaemonKind kind : {DaemonKind::guard, DaemonKind::client})
      if (!start_at_trap0(kind))
        return;
    dropped_packets();
    only_what_was_asked_for();
    an_interrupt_leaves_a_whole_file();
    into_a_pipe();
    files_that_exist();
    what_is_not_taken();
    of_the_client();
    a_daemon_that_ends_takes_no_packets_along();
    host_.run_program(
        "trap-guard",
        {"--config", host_.daemon(DaemonKind::guard).configuration_file().string(), "--detach"});
    if (start_at_trap0(DaemonKind::server))
      answers_of_the_server();
  }

private:
  bool start_at_trap0(DaemonKind kind) {
    return scene_.done(host_.daemon(kind).configure(host_.configuration(kind), R"("trap0")"),
                       fmt::format("{}: is configured", name_of(kind))) &&
           host_.start(kind);
  }

  std::string file(std::string_view name) { return (host_.host().directory() / name).string(); }

  std::vector<std::string> words_of(DaemonKind kind, std::vector<std::string> words) {
    words.insert(words.begin(), {(program_directory() / "trapctl").string(), "capture", "--socket",
                                 host_.daemon(kind).control_socket().string()});
    return words;
  }

  // While the neighbour connects, or this host does.
  Finished capture(DaemonKind kind, std::vector<std::string> words, bool from_here = false) {
    std::jthread connects([&] {
      std::this_thread::sleep_for(begins_within);
      const Host& from = from_here ? host_.host() : host_.neighbour();
      const std::string to{from_here ? DaemonHost::neighbour_address : DaemonHost::address};
      static_cast<void>(
          run(from.command({"python3", "-c", many_connects, to}), std::chrono::seconds{5}));
    });
    return host_.run(words_of(kind, std::move(words)));
  }

  // One line for each packet: comment, interface, direction, ports, seconds since the capture.
  std::string read(const std::string& path) {
    const Finished told =
        host_.run({"tshark", "-r", path, "-T", "fields", "-e", "frame.comment", "-e",
                   "frame.interface_name", "-e", "frame.packet_flags_direction", "-e",
                   "tcp.dstport", "-e", "tcp.srcport", "-e", "frame.time_epoch"});
    scene_.check(told.exit_code == 0 && told.errors.find("cut short") == std::string::npos,
                 "tshark reads " + fs::path(path).filename().string(), told.errors);
    return told.output;
  }

  void dropped_packets() {
    const std::string path = file("dropped.pcapng");
    const Finished done = capture(DaemonKind::guard, {"--verdict", "drop-uninvited", "-w", path,
                                                      "--count", "5", "--seconds", "10"});
    scene_.equal("0", std::to_string(done.exit_code), "capture of five packets: succeeds");
    scene_.equal(fmt::format("5 packets in {}\n", path), done.output, "and says so");
    scene_.equal("600", fmt::format("{:o}", static_cast<unsigned>(fs::status(path).permissions())),
                 "its file is for root alone");
    const std::string packets = read(path);
    scene_.check(
        count_lines(packets,
                    "^drop-uninvited trap-guard service web\ttrap0\t0x0*1\t80\t[0-9]+\t[0-9.]+$") ==
            5,
        "each packet has verdict, part, service, interface and direction", packets);
    const double at = std::atof(packets.substr(packets.find_last_of('\t') + 1).c_str());
    scene_.check(std::abs(at - static_cast<double>(std::time(nullptr))) < 60,
                 "and the time at which it came", packets);
  }

  void only_what_was_asked_for() {
    const std::string path = file("none.pcapng");
    const Finished done =
        capture(DaemonKind::guard, {"--verdict", "pass-answer", "--verdict", "drop-ticket-*", "-w",
                                    path, "--seconds", "0.6"});
    scene_.equal(fmt::format("0 packets in {}\n", path), done.output,
                 "packets of other verdicts are not in a capture");
    scene_.equal("", read(path), "whose file is whole");
  }

  void an_interrupt_leaves_a_whole_file() {
    const std::string path = file("interrupted.pcapng");
    auto process = Process::start(host_.host().command(
        words_of(DaemonKind::guard, {"--verdict", "drop-*", "-w", path, "--seconds", "60"})));
    if (!scene_.check(static_cast<bool>(process), "a capture in the background",
                      process ? "" : process.error().message))
      return;
    std::this_thread::sleep_for(begins_within);
    host_.expect_complaint(
        capture(DaemonKind::guard, {"--verdict", "drop-*", "-w", file("second")}), 1,
        "another capture is under way", "a second capture");
    scene_.check(!fs::exists(file("second")), "which leaves no file", "it is there");
    const Finished ended = process->stop(SIGINT, std::chrono::seconds{5});
    scene_.equal("0", std::to_string(ended.exit_code), "SIGINT ends a capture");
    scene_.check(count_lines(read(path), "^drop-uninvited ") >= 40,
                 "with all packets so far in its file", read(path));
  }

  void a_daemon_that_ends_takes_no_packets_along() {
    const std::string path = file("ended.pcapng");
    auto process = Process::start(host_.host().command(
        words_of(DaemonKind::guard, {"--verdict", "drop-*", "-w", path, "--seconds", "60"})));
    if (!scene_.check(static_cast<bool>(process), "another in the background",
                      process ? "" : process.error().message))
      return;
    std::this_thread::sleep_for(begins_within);
    capture(DaemonKind::guard, {"--verdict", "drop-*", "-w", file("third")}); // is refused
    scene_.done(host_.daemon(DaemonKind::guard).stop(), "the guard stops");
    const auto ended = process->wait(std::chrono::seconds{5});
    if (!scene_.check(static_cast<bool>(ended), "the capture ends with it",
                      ended ? "" : ended.error().message))
      return;
    host_.expect_complaint(*ended, 1, "packets until then are in " + path,
                           "a capture whose daemon ends");
    scene_.check(count_lines(read(path), "^drop-uninvited ") >= 40,
                 "has all packets until then in its file", read(path));
  }

  void into_a_pipe() {
    std::string line;
    for (const std::string& word :
         words_of(DaemonKind::guard, {"--verdict", "drop-uninvited", "-w", "-", "--count", "3"}))
      line += word + " ";
    std::jthread connects([&] {
      std::this_thread::sleep_for(begins_within);
      host_.knock();
      host_.knock();
      host_.knock();
    });
    const Finished told =
        host_.run({"sh", "-c", line + "| tshark -r - -T fields -e frame.comment"});
    scene_.check(count_lines(told.output, "^drop-uninvited ") == 3, "capture into a pipe",
                 told.output + told.errors);
  }

  void files_that_exist() {
    const std::string there = file("there"), link = file("link");
    std::ofstream(there) << "another's";
    fs::create_symlink(there, link);
    for (const std::string& path : {there, link})
      host_.expect_complaint(host_.run(words_of(DaemonKind::guard, {"--verdict", "drop-*", "-w",
                                                                    path, "--seconds", "0.6"})),
                             1, "exists already", "capture into " + path);
    scene_.equal("9", std::to_string(fs::file_size(there)), "and it is as it was");
  }

  void what_is_not_taken() {
    host_.expect_complaint(
        host_.run(words_of(DaemonKind::guard, {"--verdict", "drop-nothing", "-w", file("no")})), 2,
        "no verdict \"drop-nothing\"", "a verdict that is none");
    for (const char* count : {"0", "100001", "-1", "x"})
      host_.expect_complaint(host_.run(words_of(DaemonKind::guard, {"--verdict", "drop-*", "-w",
                                                                    file("no"), "--count", count})),
                             2, "count", fmt::format("a count of {}", count));
    scene_.check(!fs::exists(file("no")), "and none leaves a file", "it is there");
  }

  void of_the_client() {
    const std::string path = file("client.pcapng");
    capture(DaemonKind::client,
            {"--verdict", "pass-*", "-w", path, "--count", "60", "--seconds", "10"}, true);
    const std::string packets = read(path);
    scene_.check(count_lines(packets, "^pass-[a-z-]+ trap-client\ttrap0\t0x0*2\t80\t") > 0 &&
                     count_lines(packets, "^pass-[a-z-]+ trap-client\ttrap0\t0x0*1\t[0-9]+\t80\t") >
                         0,
                 "client: what leaves and what comes in", packets);
  }

  void answers_of_the_server() {
    const std::string path = file("answers.pcapng");
    capture(DaemonKind::server,
            {"--verdict", "reply-syn-ack", "-w", path, "--count", "4", "--seconds", "10"});
    const std::string packets = read(path);
    scene_.check(
        count_lines(packets,
                    "^reply-syn-ack trap-server service web\ttrap0\t0x0*2\t[0-9]+\t80\t") == 4,
        "server: its answers", packets);
  }

  Scene& scene_;
  DaemonHost& host_;
};

void capture(Scene& scene) {
  if (const auto host = DaemonHost::make(scene))
    Capturing{scene, *host}.play();
}

const Registration register_capture{{
    .name = "capture",
    .goal = "trapctl capture writes packets and their verdicts where tshark reads them",
    .plan = daemons_plan(),
    .play = capture,
}};

} // namespace
} // namespace trap::lab
