// The maps and programs of one layer as descriptors by name: loaded, or opened from the pins that an earlier process
// left. What is not pinned lives as long as somebody holds it or a cgroup has it attached.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/kernel_probe.h"
#include "bpf/pin_directory.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::bpf {

// How the objects are loaded.
struct MapSizes {
  std::uint32_t max_workloads = 1;     // slots
  std::uint32_t max_children = 1;      // rows of templates' children, and tables ahead for them
  std::uint32_t max_names = 1u << 20;  // nodes of all name tries together
  std::uint32_t event_ring_bytes = 1u << 20;
  KernelAbilities kernel = probe_abilities();
};

class KernelObjects {
 public:
  // kUnsupported, kPermission: what is missing, in one sentence.
  static Result<KernelObjects> load(const MapSizes& sizes);

  // The layer in `folder` of the pins: this build's programs are opened from their pins, or loaded with the pinned maps
  // and pinned; maps that are missing are made. The programs of other builds stay pinned until drop_former().
  static Result<KernelObjects> open(const MapSizes& sizes, const PinDirectory& pins, const std::string& folder);

  // `name` as in the BPF sources; it is a programming mistake when there is none.
  int map(std::string_view name) const;
  int program(std::string_view name) const;

  // Programs of other builds that may still be attached: {program's name, descriptor}.
  const std::vector<std::pair<std::string, FileDescriptor>>& former_programs() const { return former_; }
  Result<void> drop_former(const PinDirectory& pins, const std::string& folder);

  // Pins what is not intact in `folder`; the names of those.
  Result<std::vector<std::string>> mend_pins(const PinDirectory& pins, const std::string& folder) const;

 private:
  using Descriptors = std::map<std::string, FileDescriptor, std::less<>>;
  Result<void> load_programs(const MapSizes& sizes);
  Result<void> open_former(const PinDirectory& pins, const std::string& folder);

  Descriptors maps_, programs_;
  std::vector<std::pair<std::string, FileDescriptor>> former_;
};

// The name of the directory of this build's programs.
std::string program_folder();
// Of any build's: whether the name in a layer's folder is one.
bool is_program_folder(std::string_view name);

}  // namespace namewall::bpf
