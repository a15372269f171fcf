// SPDX-License-Identifier: Apache-2.0
#include "runtime/takeover/noted_types.h"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fmt/core.h>

#include "runtime/fd.h"
#include "runtime/kernel/pinned_object.h"
#include "runtime/whole_file.h"

namespace trap {
namespace {

using Types = std::shared_ptr<btf>;

Types own(btf* types) {
  return {types, btf__free};
}

// Empty without $RUNTIME_DIRECTORY, which may name several folders.
std::string runtime_folder() {
  const char* folders = std::getenv("RUNTIME_DIRECTORY");
  const std::string all = folders ? folders : "";
  return all.substr(0, all.find(':'));
}

std::string name_of(__u32 id) {
  return fmt::format("types-{}", id);
}

Types noted(__u32 id) {
  const std::string folder = runtime_folder();
  if (folder.empty())
    return nullptr;
  std::ifstream file(folder + "/" + name_of(id), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  btf* types = bytes.empty() ? nullptr : btf__new(bytes.data(), static_cast<__u32>(bytes.size()));
  return types ? own(types) : nullptr;
}

std::set<__u32> type_numbers(const std::string& pin_dir) {
  std::set<__u32> numbers;
  for (const std::string& name : list_pins(pin_dir)) {
    const Fd fd(bpf_obj_get((pin_dir + "/" + name).c_str()));
    bpf_map_info info = {};
    __u32 length = sizeof info;
    // Links and programs have pins there too: theirs is another info, of another length.
    if (!name.starts_with("link-") && !name.starts_with("was-") && !name.starts_with("program-") &&
        fd && bpf_obj_get_info_by_fd(fd.get(), &info, &length) == 0 && info.btf_id != 0)
      numbers.insert(info.btf_id);
  }
  return numbers;
}

Result<void> note(const btf* types, const std::string& path) {
  __u32 length = 0;
  const void* bytes = btf__raw_data(types, &length);
  if (!bytes)
    return Error{fmt::format("cannot write {}: {}", path, error_text(errno))};
  return replace_file(path, {static_cast<const char*>(bytes), length}, 0600);
}

} // namespace

std::shared_ptr<const btf> types_of(__u32 id) {
  if (btf* types = btf__load_from_kernel_by_id(id))
    return own(types);
  const int refusal = errno;
  Types types = noted(id);
  errno = refusal;
  return types;
}

Result<void> note_types(const std::string& pin_dir, const std::string& part) {
  const std::string folder = runtime_folder();
  if (folder.empty())
    return Error{"RUNTIME_DIRECTORY is not set: a service manager sets it to the folder in which "
                 "the types are noted"};
  for (const __u32 id : type_numbers(pin_dir)) {
    const std::string path = folder + "/" + name_of(id);
    btf* types = btf__load_from_kernel_by_id(id);
    if (!types)
      return Error{fmt::format("cannot read the types of maps that trap-{} has pinned: {}", part,
                               error_text(errno))};
    if (auto done = note(own(types).get(), path); !done)
      return done;
  }
  return {};
}

} // namespace trap
