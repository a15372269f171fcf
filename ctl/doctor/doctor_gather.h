// SPDX-License-Identifier: Apache-2.0
// Gathers the facts for trapctl doctor from this host. Reads only.
#pragma once

#include "ctl/doctor/doctor_facts.h"

namespace trap::ctl {

HostFacts gather_host(bool needs_raw_sockets);

InterfaceFacts gather_interface(const std::string& name);

// The part of this configuration file, or of the usual control socket where there is no such file.
PartFacts gather_part(const std::string& part, const std::string& config_path);

// The error of `trap-PART --check-config`; empty if there is none, or if the program is not
// installed here.
std::string check_config(const std::string& part, const std::string& config_path);

} // namespace trap::ctl
