// SPDX-License-Identifier: Apache-2.0
// Three ways in turns: without TRAP, through TRAP's handshake, and with the redirect that the
// client learnt by it. curl's own time counts; the content is compared byte by byte.
#include "bench/experiments/experiments.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "bench/experiments/defences.h"
#include "lab/deployment/visit.h"
#include "lab/hosts/cpus.h"
#include "lab/hosts/files.h"

namespace trap::bench {
namespace {

namespace fs = std::filesystem;
using lab::Family;

struct Size {
  int megabytes;
  double paper_plain_ms, paper_trap_ms;

  [[nodiscard]] std::string file() const { return fmt::format("{}mb.bin", megabytes); }
  [[nodiscard]] std::uint64_t bytes() const {
    return static_cast<std::uint64_t>(megabytes) * 1'000'000;
  }
  [[nodiscard]] double paper_overhead_ms() const { return paper_trap_ms - paper_plain_ms; }
};

// Table 1.
constexpr Size sizes[] = {
    {5, 77.92, 225.70}, {10, 214.78, 380.93}, {50, 567.42, 748.70}, {100, 1137.39, 1360.13}};
constexpr double paper_mean_overhead_ms = 179.49;
constexpr std::chrono::milliseconds deadline{30000};

struct Times {
  std::vector<double> plain, first, later; // ms, one of each in a round
};

class Downloads {
public:
  Downloads(Testbed& testbed, Report& report) : report_(report), testbed_(testbed) {}

  Result<void> run(int rounds) {
    const auto plain_server = testbed_.start_plain();
    if (!plain_server)
      return plain_server.error();
    if (auto shared = share_documents(); !shared)
      return shared;
    for (int round = -1; round < rounds; round++) { // the first warms up
      std::printf("downloads, round %d of %d\n", round + 1, rounds);
      std::fflush(stdout);
      for (const Family family : lab::families)
        for (const Size& size : round < 0 ? std::span{sizes}.first(1) : std::span{sizes})
          if (auto ran = run_once(family, size, round >= 0); !ran)
            return ran;
    }
    for (const Family family : lab::families)
      conclude(family);
    return {};
  }

private:
  // One copy for both servers, so that both read the same memory.
  [[nodiscard]] Result<void> share_documents() const {
    const fs::path ours = testbed_.host("plain").directory() / "nginx/documents",
                   theirs = documents();
    const std::uint64_t largest = sizes[std::size(sizes) - 1].bytes();
    std::uint64_t needed = largest; // for curl's copy
    for (const Size& size : sizes)
      needed += size.bytes();
    std::error_code error;
    const auto room = fs::space(theirs, error).available;
    if (error)
      return Error{
          fmt::format("cannot read the free space of {}: {}", theirs.string(), error.message())};
    if (room < needed)
      return Error{fmt::format("{} has {} MB free, and {} are needed: make room there",
                               theirs.string(), room / 1'000'000, needed / 1'000'000)};
    for (const Size& size : sizes) {
      if (auto written = lab::write_random_file(theirs / size.file(), size.bytes(),
                                                static_cast<std::uint64_t>(size.megabytes));
          !written)
        return written;
      fs::remove(ours / size.file(), error);
      fs::create_hard_link(theirs / size.file(), ours / size.file(), error);
      if (error)
        return Error{fmt::format("cannot link {} to {}: {}", (theirs / size.file()).string(),
                                 ours.string(), error.message())};
    }
    return {};
  }

  [[nodiscard]] fs::path documents() const {
    return testbed_.host("service").directory() / "nginx/documents";
  }

  Result<void> run_once(Family family, const Size& size, bool counts) {
    const auto plain_ms = fetch(plain_, family, size, nullptr);
    if (!plain_ms)
      return plain_ms.error();
    first_.prepare(testbed_);
    const lab::ExpectedVisit first{lab::VisitKind::first, family, size.bytes()},
        later{lab::VisitKind::later, family, size.bytes()};
    const auto first_ms = fetch(first_, family, size, &first);
    if (!first_ms)
      return first_ms.error();
    const auto later_ms = fetch(later_, family, size, &later);
    if (!later_ms)
      return later_ms.error();
    if (!counts)
      return {};
    Times& times = times_[{family, size.megabytes}];
    times.plain.push_back(*plain_ms);
    times.first.push_back(*first_ms);
    times.later.push_back(*later_ms);
    return {};
  }

  // Milliseconds. An error if the content is wrong, or went another way than `expected`.
  Result<double> fetch(const Defence& way, Family family, const Size& size,
                       const lab::ExpectedVisit* expected) {
    const auto pinned = lab::Pinned::to(0);
    if (!pinned)
      return pinned.error();
    const auto before = read_if(expected != nullptr);
    if (!before)
      return before.error();
    const auto response =
        lab::fetch(testbed_.host(way.client), {way.url(family, "/" + size.file()), deadline});
    if (!response)
      return response.error();
    const auto after = read_if(expected != nullptr);
    if (!after)
      return after.error();
    std::string fault = lab::whole(*response, size.bytes()) ? "" : response->text();
    if (expected != nullptr)
      fault = lab::complaint(*expected, lab::difference(*before, *after), *response);
    if (fault.empty() && !lab::same_content(response->body, documents() / size.file()))
      fault = "the content is not what was served";
    std::error_code ignored;
    fs::remove(response->body, ignored);
    if (!fault.empty())
      return Error{
          fmt::format("{} MB, {}, {}: {}", size.megabytes, way.name, lab::name_of(family), fault)};
    return response->total_s * 1000;
  }

  Result<lab::Reading> read_if(bool wanted) {
    return wanted ? testbed_.trap().read() : lab::Reading{};
  }

  void conclude(Family family) {
    double sum = 0;
    std::vector<double> differences;
    for (const Size& size : sizes) {
      const Times& times = times_[{family, size.megabytes}];
      add(family, size, "plain", times.plain, {{"paper", size.paper_plain_ms}});
      const double overhead = overhead_of(times.first, times.plain);
      add(family, size, "trap-first", times.first,
          {{"paper", size.paper_trap_ms},
           {"overhead", overhead},
           {"paper_overhead", size.paper_overhead_ms()}});
      add(family, size, "trap-later", times.later,
          {{"overhead", overhead_of(times.later, times.plain)}});
      sum += overhead;
      differences.push_back(overhead);
    }
    const double mean = sum / static_cast<double>(std::size(sizes));
    const Spread spread = spread_of(differences);
    const int version = static_cast<int>(family);
    Line line{"download-overhead", "trap-first", version,       "mean_overhead", "ms", mean,
              spread.min,          spread.max,   rounds(family)};
    line.more = {{"paper", paper_mean_overhead_ms}};
    report_.add(std::move(line));
    std::printf("download, first connection, IPv%d: %.2f ms more in the mean (the paper: %.2f)\n",
                version, mean, paper_mean_overhead_ms);
    report_.add(Target{fmt::format("download, IPv{}: mean overhead of a first connection", version),
                       mean, Bound::at_most, paper_mean_overhead_ms, "ms"});
  }

  [[nodiscard]] int rounds(Family family) {
    return static_cast<int>(times_[{family, sizes[0].megabytes}].plain.size());
  }

  // Of pairs: other work of the machine in a round hits both.
  static double overhead_of(const std::vector<double>& trap, const std::vector<double>& plain) {
    std::vector<double> differences(trap.size());
    std::ranges::transform(trap, plain, differences.begin(), std::minus{});
    return spread_of(differences).median;
  }

  void add(Family family, const Size& size, const char* responder, const std::vector<double>& times,
           test::Json more) {
    const Spread spread = spread_of(times);
    const int version = static_cast<int>(family);
    std::printf("download, %3d MB, %-10s  IPv%d  %8.2f ms  (%.2f to %.2f)", size.megabytes,
                responder, version, spread.median, spread.min, spread.max);
    if (more.contains("overhead"))
      std::printf("  %+.2f ms", more["overhead"].get<double>());
    std::printf("\n");
    Line line{fmt::format("download-{}mb", size.megabytes),
              responder,
              version,
              "download_time",
              "ms",
              spread.median,
              spread.min,
              spread.max,
              static_cast<int>(times.size())};
    line.more = std::move(more);
    report_.add(std::move(line));
  }

  Report& report_;
  Testbed& testbed_;
  const Defence plain_ = undefended("plain"), first_ = trap_at_first("trap-first"),
                later_ = trap_later("trap-later");
  std::map<std::pair<Family, int>, Times> times_;
};

} // namespace

Result<void> measure_downloads(const DownloadEffort& effort, Report& report) {
  const auto testbed = Testbed::build(Serves::documents, lab::last_cpu());
  if (!testbed)
    return testbed.error();
  return Downloads{**testbed, report}.run(effort.rounds);
}

} // namespace trap::bench
