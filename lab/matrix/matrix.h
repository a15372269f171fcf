// SPDX-License-Identifier: Apache-2.0
// Tries the cells of the equality matrix: the same conversation with a port under TRAP and with one
// without, compared field by field.
#pragma once

#include <functional>
#include <string>

#include "lab/matrix/cells.h"
#include "lab/scenarios/scene.h"

namespace trap::lab {

inline constexpr int matrix_served_port = 8080, matrix_plain_port = 8081;
inline constexpr int elsewhere_offset = 10; // from either to the port that rules lead to

// The container of cells that have one.
inline constexpr std::string_view pod_ipv4 = "198.18.90.2", pod_gateway_ipv4 = "198.18.90.1",
                                  pod_ipv6 = "2001:db8:90::2", pod_gateway_ipv6 = "2001:db8:90::1";

// The service at matrix_served_port, for the server's configuration.
std::string matrix_service();

// Makes one check of each chosen cell for each family; a failure names the first difference. Cells
// that the kernel lacks are noted.
void try_cells(Scene& scene, const std::function<bool(const Cell&)>& chosen);

// The same for odd SYNs (odd_syn.h) from a number on.
void try_odd_syns(Scene& scene, std::uint32_t first, std::uint32_t count);

// The same for frames that are odd (odd_frame.h), with the program at each of its hooks.
void try_odd_frames(Scene& scene);

} // namespace trap::lab
