// SPDX-License-Identifier: Apache-2.0
// The lines of trapctl knock: the meaning of each segment, the possible reasons of each failure.
#pragma once

#include <string>
#include <vector>

#include "runtime/packet/handshake.h"

namespace trap {

// "SYN-ACK [OFFER]".
std::string name_of(const HandshakeSegment& segment);

std::string meaning_of(const HandshakeSegment& segment, bool outgoing, bool of_public_address);

std::vector<std::string> reasons_of_syn_silence();
std::vector<std::string> reasons_of_reset();
std::vector<std::string> reasons_of_ack_silence();
std::vector<std::string> reasons_of_bare_reset(bool offered);
std::vector<std::string> reasons_of_numbers();
std::vector<std::string> reasons_of_target();
std::vector<std::string> reasons_of_backend_silence();
std::vector<std::string> reasons_of_refusal();
std::vector<std::string> reasons_of_module_silence();
std::vector<std::string> reasons_of_direct_answer();
std::vector<std::string> reasons_of_missing_consent();
std::string note_on_missing_consent();
std::string note_on_private_target();
std::string note_on_missing_ticket();

} // namespace trap
