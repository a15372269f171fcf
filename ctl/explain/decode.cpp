// SPDX-License-Identifier: Apache-2.0
// trapctl decode: the TRAP messages of a capture, field by field. Asks no daemon.
#include <fmt/core.h>

#include "ctl/commands.h"
#include "ctl/explain/pcap_file.h"
#include "runtime/json_text.h"
#include "runtime/packet/trap_message.h"

namespace trap::ctl {

using nlohmann::ordered_json;

namespace {

const char* defect_text(trap_option_defect defect) {
  return defect == TRAP_OPTIONS_DUPLICATE ? "more than one TRAP option: refused"
                                          : "malformed options: refused";
}

ordered_json json_of(std::uint64_t number, const Frame& frame, const TrapMessage* message) {
  ordered_json json = {{"number", number}, {"packet", format_packet(frame)}};
  if (message && message->defect != TRAP_OPTIONS_SOUND)
    json["defect"] = defect_text(message->defect);
  else if (message)
    json.update({{"message", message->name},
                 {"kind", message->experimental ? TRAP_KIND_EXPERIMENTAL : TRAP_KIND_RESERVED},
                 {"fields", message->fields}});
  return json;
}

void print(const ordered_json& json) {
  fmt::print("packet {}: {}\n", json.value("number", 0),
             json.value("message", json.value("defect", "no TRAP message")));
  fmt::print("  packet   {}\n", json.value("packet", ""));
  const ordered_json fields = json.value("fields", ordered_json::object());
  for (const auto& [name, value] : fields.items())
    fmt::print("  {:<10} {}\n", name,
               value.is_string() ? value.get<std::string>() : json_text(value));
}

} // namespace

Result<ExitCode> decode(const DecodeRequest& request) {
  auto file = PcapFile::open(request.pcap);
  if (!file)
    return file.error();
  for (;;) {
    auto frame = file->next();
    if (!frame)
      return frame.error();
    if (!*frame)
      return ExitCode::ok;
    const auto message = read_trap_message(**frame);
    if (!message && !request.all)
      continue;
    const ordered_json json = json_of(file->number(), **frame, message ? &*message : nullptr);
    if (request.json)
      fmt::print("{}\n", json_text(json));
    else
      print(json);
  }
}

} // namespace trap::ctl
