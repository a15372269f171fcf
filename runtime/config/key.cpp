// SPDX-License-Identifier: Apache-2.0
#include "runtime/config/key.h"

namespace trap {

void each_table(ConfigTable& parent, const ConfigNode& node, const std::string& name,
                const std::function<void(ConfigTable&)>& take) {
  const std::string header = "[[" + parent.header_of(name) + "]]";
  const std::string wanted = "a list of " + header + " tables";
  const auto* array = parent.as<ConfigNode::Array>(node, name, wanted);
  if (!array)
    return;
  if (array->empty())
    parent.fail(node.line, "no " + header + ": add at least one");
  for (const ConfigNode& item : *array) {
    if (!parent.as<ConfigNode::Table>(item, name, wanted))
      continue;
    ConfigTable table(item, name, parent);
    take(table);
  }
}

} // namespace trap
