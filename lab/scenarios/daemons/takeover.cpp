// SPDX-License-Identifier: Apache-2.0
// Other programs, with tables of other sizes, take over from those that run, one part after the
// other, while downloads go on and a stranger knocks at the service. TRAP_LAB_FORMER names the
// folder of an earlier version, from which the upgrade starts; else it is this version.
#include <csignal>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "lab/hosts/files.h"
#include "lab/scenarios/scenario.h"

namespace trap::lab {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t long_download_bytes = 100'000'000;
constexpr int usage = 2;
constexpr int fewest_probes = 100;
constexpr milliseconds well_within{5000}, transfer_deadline{60000}, command_deadline{60000};

// SYNs without a ticket to the service, a hundred a second, until the end of the scene.
class Probes {
public:
  static std::optional<Probes> begin(Scene& scene) {
    auto process = Process::start(
        scene.host("stranger")
            .command({"hping3", "--quiet", "--numeric", "-S", "--count", "100000", "--interval",
                      "u10000", "--destport", std::to_string(service_port),
                      std::string{addresses_of("service").ipv4}}));
    if (!scene.check(static_cast<bool>(process), "a stranger knocks 100 times a second",
                     process ? "" : process.error().message))
      return std::nullopt;
    return Probes{std::move(*process)};
  }

  void expect_no_answer(Scene& scene) {
    const Finished finished = process_.stop(SIGINT, milliseconds{2000});
    const std::string said = finished.output + finished.errors;
    int sent = -1, received = -1;
    if (const std::size_t at = said.find("statistic ---\n"); at != std::string::npos)
      std::sscanf(said.c_str() + at, "statistic ---\n%d packets tra%*[a-z], %d packets received",
                  &sent, &received);
    scene.check(sent >= fewest_probes && received == 0, "no probe of the stranger gets through",
                fmt::format("{} sent, {} answers: {}", sent, received, said));
  }

private:
  explicit Probes(Process process) : process_(std::move(process)) {}
  Process process_;
};

// Takes over one part, and tells what it found.
class Takeover {
public:
  Takeover(Scene& scene, Daemon& daemon)
      : scene_(scene), daemon_(daemon), name_(fmt::format("trap-{}", name_of(daemon.kind()))) {}

  void play(const std::string& configuration) {
    const auto before = daemon_.counters();
    const std::string talkers_before = top_talkers();
    scene_.done(daemon_.stop(), name_ + ": stops");
    scene_.done(daemon_.configure(configuration), name_ + ": gets other sizes");
    daemon_.run_from(program_directory());
    const auto since = std::chrono::steady_clock::now();
    scene_.done(daemon_.start(), name_ + ": takes over");
    const bool well = becomes([&] { return is_well(); }, well_within);
    scene_.check(well && std::chrono::steady_clock::now() - since < well_within,
                 name_ + ": is well within five seconds", "it is not");
    const auto after = daemon_.counters();
    scene_.check(before && after && difference(*after, *before).empty(),
                 name_ + ": goes on counting from where it was",
                 before && after ? text_of(difference(*after, *before)) : "no counters");
    if (daemon_.kind() == DaemonKind::server)
      scene_.check(!talkers_before.empty() && top_talkers() == talkers_before,
                   name_ + ": knows the budgets of its clients",
                   fmt::format("before: {}; after: {}", talkers_before, top_talkers()));
  }

  // Of a later layout, which is as good as a downgrade.
  void refuse_later_pins(Scene& scene) {
    const std::string pin = (daemon_.pin_directory() / "layout").string();
    const std::string before = programs();
    scene_.done(daemon_.stop(), name_ + ": stops");
    write_number(pin, "255");
    auto refused = run(daemon_.command({}), command_deadline);
    scene.check(refused && refused->exit_code == usage &&
                    refused->errors.find("later version (layout 255") != std::string::npos,
                name_ + ": refuses the pins of a later version",
                refused ? refused->errors : refused.error().message);
    scene.equal(before, programs(), name_ + ": and leaves all as it was");
    write_number(pin, "2");
    scene_.done(daemon_.start(), name_ + ": starts again");
  }

  // 0.4.0 does so by the sizes of maps, later versions by the number.
  void refuse_to_go_back() {
    const std::string before = programs();
    scene_.done(daemon_.stop(), name_ + ": stops");
    daemon_.run_from(former_program_directory());
    auto refused = run(daemon_.command({}), command_deadline);
    scene_.check(refused && refused->exit_code != 0 &&
                     refused->errors.find("version") != std::string::npos,
                 name_ + ": the earlier version refuses to start",
                 refused ? refused->errors : refused.error().message);
    scene_.equal(before, programs(), name_ + ": and leaves all as it was");
    daemon_.run_from(program_directory());
    scene_.done(daemon_.start(), name_ + ": starts again");
  }

private:
  // The clients of a server's budgets with their handshakes, as JSON; empty if there are none.
  std::string top_talkers() const {
    auto status = daemon_.control({"status", std::string{name_of(daemon_.kind())}, "--json"});
    if (!status)
      return {};
    const std::size_t begin = status->output.find("\"handshakes\"");
    const std::size_t end = status->output.find(']', begin);
    return begin == std::string::npos ? "" : status->output.substr(begin, end - begin);
  }

  bool is_well() const {
    auto status = daemon_.control({"status", std::string{name_of(daemon_.kind())}});
    return status && status->exit_code == 0;
  }

  void write_number(const std::string& pin, const std::string& number) const {
    auto written =
        run(scene_.host("service").command({"bpftool", "map", "update", "pinned", pin, "key", "0",
                                            "0", "0", "0", "value", number, "0", "0", "0"}),
            command_deadline);
    scene_.check(written && written->exit_code == 0, name_ + ": the pins get number " + number,
                 written ? written->errors : written.error().message);
  }

  // The pins with the ids of what they hold.
  std::string programs() const {
    std::string all;
    std::error_code failed;
    for (std::filesystem::directory_iterator at(daemon_.pin_directory(), failed), end;
         !failed && at != end; at.increment(failed)) {
      const std::string name = at->path().filename();
      const char* kind = name.starts_with("link-")      ? "link"
                         : name.starts_with("program-") ? "prog"
                                                        : "map";
      auto shown = run(
          scene_.host("service").command({"bpftool", kind, "show", "pinned", at->path().string()}),
          command_deadline);
      const std::string text = shown ? shown->output : shown.error().message;
      all += fmt::format("{} {}\n", name, text.substr(0, text.find(':')));
    }
    return all;
  }

  Scene& scene_;
  Daemon& daemon_;
  std::string name_;
};

struct Download {
  Family family;
  Transfer transfer;
};

std::vector<Download> begin_downloads(Scene& scene) {
  std::vector<Download> downloads;
  std::error_code failed;
  const auto file = scene.trap().service().documents() / "100mb.bin";
  scene.done(write_text(file, ""), "there is a file of 100 MB");
  std::filesystem::resize_file(file, long_download_bytes, failed);
  for (const Family family : families) {
    auto transfer =
        Transfer::start(scene.host("client"),
                        {Deployment::public_url(family, "/brisk/100mb.bin"), transfer_deadline});
    const bool begun = transfer && Scene::wait_until_under_way(*transfer);
    scene.check(begun, fmt::format("{}: a download of 100 MB is under way", name_of(family)),
                transfer ? "nothing came" : transfer.error().message);
    if (begun)
      downloads.push_back({family, std::move(*transfer)});
  }
  return downloads;
}

// Flows that the guard's log says it has carried over.
int carried_flows(const Daemon& guard) {
  constexpr std::string_view words = "of an earlier layout or size: ";
  std::ifstream lines{guard.log()};
  int flows = 0;
  for (std::string line; std::getline(lines, line);)
    if (const std::size_t at = line.find(words); at != std::string::npos)
      std::sscanf(line.c_str() + at + words.size(), "%d flows", &flows);
  return flows;
}

void takeover(Scene& scene) {
  Deployment& trap = scene.trap();
  std::vector<Download> downloads = begin_downloads(scene);
  auto probes = Probes::begin(scene);
  DeploymentPlan plan = trap.plan();
  plan.guard_keys = "max_flows = 4096\nmax_clients = 2048\n";
  Takeover{scene, trap.guard()}.play(guard_text(plan, "service"));
  const int flows = carried_flows(trap.guard());
  scene.check(flows >= 2, "trap-guard: has the flows of both downloads",
              fmt::format("it carried {}", flows));
  for (Download& download : downloads) // the rest may take a busy machine longer than they last
    scene.check(download.transfer.running(),
                fmt::format("{}: the download is still under way", name_of(download.family)),
                "it has ended");
  Takeover{scene, trap.client()}.play(
      "allow_private_targets = false\nmax_redirects = 2048\nmax_flows = 2048\n");
  Takeover{scene, trap.server()}.play(server_text(plan));
  for (Download& download : downloads) {
    const std::string what = fmt::format("{}: the download", name_of(download.family));
    const auto response = download.transfer.finish();
    scene.check(response && response->complete() && response->bytes == long_download_bytes,
                what + " ends", response ? response->text() : response.error().message);
    scene.expect_straight(scene.visit_service(download.family, "/small.txt"),
                          what + ", next connection");
  }
  Takeover{scene, trap.guard()}.refuse_later_pins(scene);
  if (former_program_directory() != program_directory())
    for (Daemon* daemon : {&trap.guard(), &trap.server(), &trap.client()})
      Takeover{scene, *daemon}.refuse_to_go_back();
  if (probes)
    probes->expect_no_answer(scene);
  scene.forget_redirects();
  for (const Family family : families)
    scene.expect_whole(scene.visit_service(family, "/5mb.bin"), family, download_bytes,
                       fmt::format("{}: a first connection", name_of(family)));
}

const Registration register_takeover{{
    .name = "takeover",
    .goal = "other programs and sizes of tables take over in the middle of a download",
    .plan = {.former_programs = true},
    .play = takeover,
}};

} // namespace
} // namespace trap::lab
