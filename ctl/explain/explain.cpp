// SPDX-License-Identifier: Apache-2.0
// trapctl explain: the verdicts on packets at the parts that run here, and the reasons.
#include <functional>

#include <fmt/core.h>

#include "ctl/explain/pcap_file.h"
#include "ctl/parts.h"
#include "runtime/json_text.h"
#include "runtime/log.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

std::string text_of(const ordered_json& answer, const char* key) {
  auto at = answer.find(key);
  return at != answer.end() && at->is_string() ? at->get<std::string>() : "";
}

void print_line(const char* what, const std::string& text) {
  if (!text.empty())
    fmt::print("  {:<8} {}\n", what, text);
}

void print_answer(const ordered_json& answer) {
  if (answer.contains("number"))
    fmt::print("packet {}: ", answer.value("number", 0));
  if (answer.contains("error")) {
    fmt::print("trap-{}: cannot be explained: {}\n", text_of(answer, "part"),
               text_of(answer, "error"));
    return;
  }
  fmt::print("trap-{}: {}: {}\n", text_of(answer, "part"), text_of(answer, "verdict"),
             text_of(answer, "meaning"));
  print_line("packet", text_of(answer, "packet"));
  print_line("service", text_of(answer, "service"));
  for (const auto& reason : answer.value("because", std::vector<std::string>{}))
    print_line("because", reason);
  print_line("answer", text_of(answer, "answer"));
  print_line("becomes", text_of(answer, "becomes"));
  print_line("withheld", text_of(answer, "withheld"));
}

// The parts that run.
Result<std::vector<PartLocation>> find_running(const ExplainOptions& options) {
  std::vector<PartLocation> running;
  std::vector<Error> refusals;
  for (PartLocation& location : locations(options.parts)) {
    auto status = running_status(location);
    if (!status)
      refusals.push_back(status.error());
    if (!status || status->is_null())
      continue;
    location.part = status->value("part", location.part);
    running.push_back(std::move(location));
  }
  if (running.empty())
    return refusals.empty() ? nothing_runs(options.parts) : refusals[0];
  for (const Error& refusal : refusals)
    log::final_error("trapctl", refusal.message);
  return running;
}

// A packet that a part cannot judge does not keep the others of a capture from being explained.
Result<ExitCode> explain_one(const ExplainOptions& options,
                             const std::vector<PartLocation>& running, const Frame& frame,
                             std::uint64_t number) {
  ExitCode code = ExitCode::ok;
  for (const PartLocation& location : running) {
    auto answer = post(location.socket, "/explain?direction=" + options.direction,
                       {frame.begin(), frame.end()});
    if (answer && !*answer)
      return nothing_runs(options.parts);
    if (!answer && number == 0)
      return answer.error();
    if (!answer)
      code = ExitCode::failed;
    ordered_json shown;
    if (number != 0)
      shown["number"] = number;
    shown.update(answer ? **answer
                        : ordered_json{{"part", location.part}, {"error", answer.error().message}});
    if (options.parts.json)
      fmt::print("{}\n", json_text(shown));
    else
      print_answer(shown);
  }
  return code;
}

Result<ExitCode> explain_capture(const ExplainOptions& options,
                                 const std::vector<PartLocation>& running, PcapFile& file) {
  ExitCode worst = ExitCode::ok;
  for (;;) {
    auto frame = file.next();
    if (!frame)
      return frame.error();
    if (!*frame)
      return worst;
    auto code = explain_one(options, running, **frame, file.number());
    if (!code)
      return code.error();
    if (*code != ExitCode::ok)
      worst = *code;
  }
}

} // namespace

Result<ExitCode> explain(const ExplainOptions& options) {
  if (options.packet.empty() == options.pcap.empty())
    return Error{"explain takes either --packet or --pcap: see trapctl explain --help",
                 ExitCode::usage};
  if (!options.packet.empty()) {
    auto frame = parse_packet(options.packet);
    if (!frame)
      return frame.error();
    auto running = find_running(options);
    return running ? explain_one(options, *running, *frame, 0) : running.error();
  }
  auto file = PcapFile::open(options.pcap);
  if (!file)
    return file.error();
  auto running = find_running(options);
  return running ? explain_capture(options, *running, *file) : running.error();
}

} // namespace trap::ctl
