// SPDX-License-Identifier: Apache-2.0
#include "bench/comparison/beside.h"

#include <cerrno>
#include <memory>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

#include <fmt/format.h>

namespace trap::bench {
namespace {

constexpr std::chrono::milliseconds prepare_deadline{10000};

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, CloseObject>;

Error cannot(const char* what, const Beside& beside) {
  return Error{fmt::format("cannot {} {} of {}: {}; bpftool prog load says more", what,
                           beside.program, beside.file, error_text(errno)),
               ExitCode::usage};
}

// Only what was asked for is loaded: the others may want a newer kernel.
Result<Object> load(const Beside& beside) {
  Object object{bpf_object__open_file(beside.file.c_str(), nullptr)};
  if (!object)
    return cannot("open", beside);
  bpf_program* wanted = bpf_object__find_program_by_name(object.get(), beside.program.c_str());
  if (wanted == nullptr)
    return Error{fmt::format("{} has no program {}", beside.file, beside.program), ExitCode::usage};
  bpf_program* each = nullptr;
  bpf_object__for_each_program(each, object.get()) bpf_program__set_autoload(each, each == wanted);
  bpf_program__set_type(wanted, BPF_PROG_TYPE_XDP);
  if (bpf_object__load(object.get()) != 0)
    return cannot("load", beside);
  return object;
}

// The maps are pinned where the command finds them.
Result<void> prepare(const Beside& beside, bpf_object* object, const lab::Host& host) {
  if (beside.prepare.empty())
    return {};
  const std::string maps = (host.bpf_directory() / "beside").string();
  if (bpf_object__pin_maps(object, maps.c_str()) != 0)
    return cannot("pin the maps of", beside);
  const lab::Command command =
      host.command({"env", "MAPS=" + maps, "INTERFACE=eth0", "sh", "-c", beside.prepare});
  if (auto done = lab::run_checked(command, prepare_deadline); !done)
    return Error{done.error().message, ExitCode::usage};
  return {};
}

Result<Equipment> equip(const Beside& beside, const ResponderHost& on) {
  for (const char* sysctl : {"ipv4/tcp_syncookies", "ipv4/tcp_timestamps"})
    if (auto set = on.host.set(sysctl, "2"); !set)
      return set.error();
  auto listener = listen_in(on.host);
  if (!listener)
    return listener.error();
  auto object = load(beside);
  if (!object)
    return object.error();
  if (auto prepared = prepare(beside, object->get(), on.host); !prepared)
    return prepared.error();
  const int fd =
      bpf_program__fd(bpf_object__find_program_by_name(object->get(), beside.program.c_str()));
  const lab::InHost inside{on.host};
  if (!inside.entered() ||
      bpf_xdp_attach(static_cast<int>(if_nametoindex("eth0")), fd, 0, nullptr) != 0)
    return cannot("attach", beside);
  using Both = std::pair<Held, std::shared_ptr<bpf_object>>;
  return Equipment{
      std::make_shared<Both>(std::move(*listener), std::shared_ptr<bpf_object>{std::move(*object)}),
      nullptr};
}

} // namespace

Result<Beside> parse_beside(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size())
    return Error{"\"" + text + "\" is not FILE:PROGRAM, such as guard.bpf.o:xdp_filter",
                 ExitCode::usage};
  Beside beside{text.substr(0, colon), text.substr(colon + 1), {}};
  if (access(beside.file.c_str(), R_OK) != 0)
    return Error{"cannot read " + beside.file + ": " + error_text(errno), ExitCode::usage};
  return beside;
}

Responder responder_beside(const Beside& beside) {
  return {beside.program,
          Role::guest,
          {{FloodKind::syn, {TRAP_FLOOD_SYN_ACK}}},
          [beside](const ResponderHost& on) { return equip(beside, on); }};
}

} // namespace trap::bench
