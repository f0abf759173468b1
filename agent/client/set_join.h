// The kernel's elements joined with the daemon's model: one row for each element, and what differs. Pure.
//
// The two are read one after the other while both change. What differs counts as drift only where no change in between
// explains it; what only a second look can tell stays doubtful until settle().
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/client/kernel_sets.h"
#include "agent/host/sets_view.h"

namespace namewall::agent {

struct ModelSets {
  SetsHost host;
  std::vector<SetsWorkload> workloads;
  struct Held {
    std::uint32_t workload = 0;  // index
    SetsGrant grant;
  };
  std::vector<Held> grants;

  bool add(std::string_view line);  // false: no such line
  void take(ModelSets&& other);     // behind what is there
};

enum class Drift : std::uint8_t {
  kNone,
  kUnknown,  // the kernel has it, the model does not know it
  kMissing,  // the model has it, the kernel does not
};
std::string_view word_of(Drift drift);  // "", "unknown", "missing"

struct NameRow {
  std::string_view name;
  std::string_view rule;
  Nanoseconds left = kForever;
  std::int64_t learned_ms_ago = kUnknownTime, renewed_ms_ago = kUnknownTime, hits = -1;
};

struct SetRow {
  std::uint32_t workload = 0;  // index
  std::string_view set;        // "" of what is missing
  Address address;
  PortRange ports;
  std::string port_list;  // of ranges
  Nanoseconds left = kForever;
  std::vector<NameRow> names;
  unsigned other_names = 0;
  Drift drift = Drift::kNone;
};

struct WorkloadRow {
  std::string name;  // the daemon's; "": it does not know it, or there is none
  std::string cgroup;
  std::uint64_t cgroup_id = 0;
  std::string backend;
  std::string mode;
  bool is_in_kernel = false, is_in_model = false;
  // What tells it from others: its name, else its cgroup's path, else "cgroup 4711".
  std::string label() const;
};

// Refers to the texts of what it was made from.
struct SetsView {
  bool has_model = false;
  std::vector<WorkloadRow> workloads;  // by label
  std::vector<SetRow> rows;            // by workload, address, protocol, port
  std::size_t count(Drift drift) const;
};

// `only`: the workload of that name, cgroup path, or cgroup id; "": all.
SetsView join(const KernelSets& kernel, const ModelSets* model, std::string_view only = "");

KernelPlace place_of(const SetsView& view, const SetRow& row);
// What the kernel should hold of nft workloads.
std::vector<KernelPlace> expected_places(const ModelSets& model);
// The workloads whose rows differ, as indexes into `workloads`.
std::vector<std::uint32_t> doubtful_workloads(const SetsView& view);
// A second look: what the kernel holds of a row now, and a model read after the first. Rows that agree by now lose
// their mark, or go. Asked for each row that differs, in order.
void settle(SetsView& view, const std::function<bool(const SetRow&)>& is_in_kernel, const ModelSets& model);

// One element's ports as the daemon writes them (sets_view.h).
struct HeldPorts {
  PortRange ports;        // one port; of a wide set the whole protocol
  std::string port_list;  // of a wide set: "1000-2000"
};
std::optional<HeldPorts> parse_held_ports(std::string_view text);

}  // namespace namewall::agent
