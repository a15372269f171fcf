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

// The service at matrix_served_port, for the server's configuration.
std::string matrix_service();

// Makes one check of each chosen cell for each family; a failure names the first difference. Cells
// that the kernel lacks are noted.
void try_cells(Scene& scene, const std::function<bool(const Cell&)>& chosen);

} // namespace trap::lab
