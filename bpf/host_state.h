// What a HostEnforcer holds: layers, and where each armed cgroup is. Internal to the host_*.cpp files.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bpf/host_enforcer.h"
#include "bpf/layer.h"
#include "bpf/nesting.h"
#include "bpf/pin_directory.h"
#include "bpf/program_census.h"

namespace namewall::bpf {

struct HostEnforcer::State {
  struct Place {
    std::uint32_t layer = 0;
    std::string cgroup;        // path in the hierarchy
    bool has_programs = true;  // a template's child has none of its own
  };

  State(const HostOptions& host_options, PinDirectory pin_directory, std::string mount)
      : options(host_options), pins(std::move(pin_directory)), cgroup_mount(std::move(mount)) {}

  Result<Layer*> open_layer(std::uint32_t number);  // with those before it
  Result<std::unique_ptr<Layer>> load_layer(std::uint32_t number) const;
  Result<void> join_layer(std::unique_ptr<Layer> layer);
  Result<void> keep_spare_layer();  // without the lock
  Result<void> adopt();
  Layer* layer_of(std::uint64_t cgroup_id) const;  // nullptr: not armed
  void place(std::uint64_t cgroup_id, const std::vector<std::uint64_t>& ancestors, std::uint32_t layer,
             const std::string& cgroup);
  void displace(std::uint64_t cgroup_id);
  // In the other layers, for is_marked_below.
  void list_as_deeper(std::uint64_t cgroup_id);
  void unlist_as_deeper(std::uint64_t cgroup_id);
  std::optional<nw_workload> find_config(std::uint64_t cgroup_id) const;
  std::vector<std::uint64_t> levels_of(std::uint64_t cgroup_id) const;
  ArmedCgroup describe(const nw_workload& config, std::uint32_t layer) const;
  std::string cgroup_of(std::uint64_t cgroup_id) const;
  void inspect_directory(std::vector<Damage>& found);
  void inspect_cgroups(std::size_t budget, std::vector<Damage>& found);
  void forget_vanished_children();
  std::optional<std::int64_t> count_other_references() const;

  HostOptions options;
  PinDirectory pins;
  std::string cgroup_mount;
  std::vector<std::unique_ptr<Layer>> layers;  // only grows
  Nesting nesting;
  std::unordered_map<std::uint64_t, Place> places;         // of what was armed here or adopted
  std::unordered_map<std::uint64_t, std::string> guarded;  // cgroup id -> path; all in the first layer
  std::vector<Address> own_addresses;
  AdoptionReport adoption;
  std::vector<Damage> noticed;            // for the next verify()
  std::deque<std::uint64_t> turn;         // of verify()
  std::deque<std::uint64_t> policy_turn;  // of verify_policies()
  std::optional<ProgramCensus> census;    // nullopt: this kernel has none
  std::size_t with_programs = 0;          // places
  // References that are no attachments of ours, when everything was last looked at; of the last count, whether it had
  // fewer.
  std::optional<std::int64_t> other_references;
  bool seemed_lost = false;
  std::chrono::steady_clock::time_point children_seen{};
  bool is_loading_layer = false;    // keep_spare_layer() is, without the lock
  bool has_no_spare_layer = false;  // it could not be loaded, and is not tried again
  std::condition_variable layer_loaded;
  mutable std::mutex mutex;  // of everything here; never held by keep_house while it waits
  std::mutex house;          // of the one who keeps house, and of the pin directory's descriptor
};

}  // namespace namewall::bpf
