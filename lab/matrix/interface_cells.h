// SPDX-License-Identifier: Apache-2.0
// The cells of the equality matrix for the interfaces by which clients come, and for where the
// service's addresses are.
#pragma once

#include <vector>

#include "lab/matrix/cells.h"

namespace trap::lab {

std::vector<Cell> interface_cells();

} // namespace trap::lab
