// The backends of this host, ready to be opened when somebody needs them, and which of them an earlier process left
// something of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/host/host_backends.h"

namespace namewall::agent {

struct BackendOptions {
  std::string pin_directory;
  std::uint32_t owner_uid = 0, owner_gid = 0;
  std::uint32_t max_workloads = 16384;
  bool keeps_spare_layer = false;
  std::uint32_t spare_tables = 64;
  std::uint64_t own_netns = 0;  // cookie
};

// None is open yet.
std::unique_ptr<HostBackends> make_backends(const BackendOptions& options);

// Of everything that is left of either: what was lifted, a line each.
Result<std::vector<std::string>> teardown_backends(const BackendOptions& options);

bool has_left_pins(const std::string& pin_directory);
bool has_left_table();  // in this thread's network namespace

}  // namespace namewall::agent
