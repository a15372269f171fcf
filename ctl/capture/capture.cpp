// SPDX-License-Identifier: Apache-2.0
// trapctl capture: packets with the verdicts that one asks for, as the parts' programs sample them,
// in a pcapng file with the verdict as each packet's comment.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <map>
#include <optional>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fmt/core.h>

#include "ctl/capture/pcapng.h"
#include "ctl/parts.h"
#include "dataplane/captured.h"
#include "runtime/fd.h"
#include "runtime/log.h"
#include "runtime/verdict_text.h"
#include "runtime/version.h"
#include "runtime/whole_file.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int between_questions_ms = 100;

// The capture's file, or the standard output. A file is there once it is whole, and only its owner
// reads it: the packets may hold tickets.
class Target {
public:
  static Result<Target> make(const std::string& path) {
    if (path == "-")
      return Target(std::nullopt);
    auto file = WholeFile::make_new(path, 0600, "a capture overwrites nothing");
    if (!file)
      return file.error();
    return Target(std::move(*file));
  }

  Result<void> write(std::string_view bytes) {
    if (file_)
      return file_->append(bytes);
    while (!bytes.empty()) {
      const ssize_t went = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
      if (went < 0 && errno == EINTR)
        continue;
      if (went < 0)
        return Error{fmt::format("cannot write to standard output: {}", error_text(errno))};
      bytes.remove_prefix(static_cast<std::size_t>(went));
    }
    return {};
  }

  Result<void> finish() { return file_ ? file_->finish() : Result<void>(); }

private:
  explicit Target(std::optional<WholeFile> file) : file_(std::move(file)) {}

  std::optional<WholeFile> file_;
};

// The names that a word stands for: itself, or those that begin as it does before a final '*'.
Result<std::vector<std::string>> verdicts_of(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    const bool is_pattern = word.ends_with('*');
    const std::string start = word.substr(0, word.size() - (is_pattern ? 1 : 0));
    const std::size_t before = names.size();
    for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++) {
      const std::string name = verdict_name(verdict);
      if (is_pattern ? name.starts_with(start) : name == word)
        names.push_back(name);
    }
    if (names.size() == before)
      return Error{fmt::format("there is no verdict \"{}\": docs/packet-walk.md lists them", word),
                   ExitCode::usage};
  }
  return names;
}

std::string bytes_in(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

// SIGINT and SIGTERM end a capture with a whole file.
Fd take_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

class Capture {
public:
  Capture(const CaptureRequest& request, Target target)
      : request_(request), target_(std::move(target)), left_(request.count) {}

  // One that failed, as at a full disk, is not in the way of the next.
  ~Capture() {
    for (const Part& part : parts_)
      static_cast<void>(post(part.socket, fmt::format("/capture/end/{}", part.number)));
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  Result<void> begin(const std::vector<PartLocation>& locations,
                     const std::vector<std::string>& verdicts) {
    std::string words;
    for (const std::string& verdict : verdicts)
      words += "/" + verdict;
    std::vector<Error> refusals;
    for (const PartLocation& location : locations) {
      auto status = running_status(location);
      if (!status)
        refusals.push_back(status.error());
      if (!status || status->is_null())
        continue;
      auto begun = post(location.socket, fmt::format("/capture/begin/{}{}", request_.count, words));
      if (!begun)
        refusals.push_back(begun.error());
      else if (*begun)
        parts_.push_back({status->value("part", location.part), location.socket,
                          (*begun)->value("capture", std::uint64_t{0})});
    }
    if (parts_.empty())
      return refusals.empty() ? nothing_runs(request_.parts) : refusals[0];
    for (const Error& refusal : refusals)
      log::final_error("trapctl", refusal.message);
    return target_.write(pcapng_section(fmt::format("trapctl {}", program_version)));
  }

  // What came since the last question. Done when as many packets as were asked for are there.
  Result<bool> ask(const char* how) {
    for (const Part& part : parts_) {
      auto answer = post(part.socket, fmt::format("/capture/{}/{}", how, part.number));
      if (!answer)
        return answer.error();
      if (!*answer)
        return Error{fmt::format("trap-{} ended before the capture did", part.name)};
      if (auto written = write(part, **answer); !written)
        return written.error();
    }
    if (std::string_view(how) == "end")
      parts_.clear();
    return left_ == 0;
  }

  Result<void> finish() { return target_.finish(); }

  // A daemon that ended takes no packets along that were captured until then; a file that could not
  // be written is none.
  Error ended_early(Error error) {
    if (could_write_ && packets() > 0 && finish() && request_.file != "-")
      error.message += fmt::format(": {} packets until then are in {}", packets(), request_.file);
    return error;
  }

  std::uint64_t packets() const { return request_.count - left_; }
  std::uint64_t lost() const {
    std::uint64_t sum = 0;
    for (const auto& [socket, lost] : lost_)
      sum += lost;
    return sum;
  }

private:
  struct Part {
    std::string name, socket;
    std::uint64_t number = 0;
  };

  Result<void> write(const Part& part, const ordered_json& answer) {
    lost_[part.socket] = answer.value("lost", std::uint64_t{0});
    std::string blocks;
    for (const ordered_json& packet : answer.value("packets", ordered_json::array())) {
      if (left_ == 0)
        break;
      left_--;
      add(part, packet, blocks);
    }
    auto written = target_.write(blocks);
    could_write_ = static_cast<bool>(written);
    return written;
  }

  void add(const Part& part, const ordered_json& packet, std::string& blocks) {
    const std::string name = packet.value("interface", "");
    const LinkType link = packet.value("link", "") == "ip" ? LinkType::ip : LinkType::ethernet;
    const auto [at, is_new] = interfaces_.try_emplace(
        {name, static_cast<int>(link)}, static_cast<std::uint32_t>(interfaces_.size()));
    if (is_new)
      blocks += pcapng_interface(name, link, TRAP_CAPTURE_BYTES);
    const std::string bytes = bytes_in(packet.value("bytes", ""));
    const std::string service = packet.value("service", "");
    blocks += pcapng_packet(
        {.interface = at->second,
         .at_ns = packet.value("at_ns", std::uint64_t{0}),
         .length = packet.value("length", 0U),
         .leaves = packet.value("direction", "") == "out",
         .bytes = {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
         .comment = fmt::format("{} {}{}{}", packet.value("verdict", ""), "trap-" + part.name,
                                service.empty() ? "" : " service " + service,
                                packet.value("monitored", false) ? " passed: monitor" : "")});
  }

  const CaptureRequest& request_;
  Target target_;
  std::uint64_t left_;
  bool could_write_ = true;
  std::vector<Part> parts_;
  std::map<std::pair<std::string, int>, std::uint32_t> interfaces_;
  std::map<std::string, std::uint64_t> lost_;
};

} // namespace

Result<ExitCode> capture(const CaptureRequest& request) {
  auto verdicts = verdicts_of(request.verdicts);
  if (!verdicts)
    return verdicts.error();
  if (request.file == "-" && isatty(STDOUT_FILENO))
    return Error{"a capture is no text for a terminal: name a file, or pipe it into a program",
                 ExitCode::usage};
  auto target = Target::make(request.file);
  if (!target)
    return target.error();
  const Fd signals = take_signals();
  Capture capture(request, std::move(*target));
  if (auto begun = capture.begin(locations(request.parts), *verdicts); !begun)
    return begun.error();
  const auto until = Clock::now() + std::chrono::duration<double>(request.seconds);
  for (bool is_over = false; !is_over;) {
    pollfd interrupted = {signals.get(), POLLIN, 0};
    is_over = poll(&interrupted, 1, between_questions_ms) > 0 || Clock::now() >= until;
    auto is_whole = capture.ask(is_over ? "end" : "more");
    if (!is_whole)
      return capture.ended_early(is_whole.error());
    if (*is_whole && !is_over) {
      is_over = true;
      if (auto ended = capture.ask("end"); !ended)
        return capture.ended_early(ended.error());
    }
  }
  if (auto finished = capture.finish(); !finished)
    return finished.error();
  if (request.file != "-")
    fmt::print("{} packets in {}{}\n", capture.packets(), request.file,
               capture.lost() ? fmt::format(", {} more had no room", capture.lost()) : "");
  return ExitCode::ok;
}

} // namespace trap::ctl
