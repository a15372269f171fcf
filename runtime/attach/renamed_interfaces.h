// SPDX-License-Identifier: Apache-2.0
// Interfaces that the configuration names and that are called otherwise now. Their links know them
// by index; a second pin, `was-NAME`, tells a later run under which name they are configured.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/kernel/pinned_object.h"
#include "runtime/net/host_interfaces.h"

namespace trap {

class RenamedInterfaces {
public:
  RenamedInterfaces() = default;

  // `configured`: names and patterns. Nothing is looked at yet.
  RenamedInterfaces(std::string pin_dir, std::vector<std::string> configured);

  // Finds the links of configured interfaces that earlier runs pinned, and gives their pins the
  // present names. Before a neighbor is looked for by them.
  void find(const std::vector<HostInterface>& all);

  // An interface with a link has got another name: the pin moves, and a name of the configuration
  // is kept. False if the link could not be pinned, and nothing changed.
  bool rename(int link_fd, const std::string& from, const std::string& to);

  // The interface is gone. The name by which the configuration will know it again.
  std::string forget(const std::string& name);

  // What the configuration has, and the present names of what was renamed.
  std::vector<std::string> names() const;

  // The name in the configuration; empty if `name` is not that of a renamed interface.
  std::string configured_as(const std::string& name) const;

  // The path of the pin that tells a later run; empty if there is none for `name`.
  std::string pin_of(const std::string& name) const;

private:
  void find_one(const std::string& configured, const std::vector<HostInterface>& all);
  std::string was_pin(const std::string& configured) const;

  std::string pin_dir_;
  std::vector<std::string> configured_;
  std::map<std::string, std::string> configured_as_; // by the present name
};

// Is there an interface here with a link of a program of ours that was called `name` before?
bool was_renamed(const std::string& pin_dir, const std::string& name);

} // namespace trap
