// What host.toml says of the daemon itself, beside the host's policy (policy/policy.h): [log], [metrics], [daemon],
// [proxy], [restrict].
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "policy/boot_time.h"
#include "policy/policy.h"
#include "policy/resolv_conf.h"

namespace namewall {

enum class LogNames { kAll, kRefused, kNone };  // which names of a workload's questions the journal may hold
enum class LogLevel { kDebug, kInfo, kWarning, kError };

// [restrict]: processes that give up reach by themselves (POST /v1/restrict). What any user may ask for is bounded.
struct RestrictSettings {
  bool enabled = true;
  std::uint32_t per_user = 256;
  std::uint32_t per_workload = 256;  // below one workload of a file or a call
  std::uint32_t total = 2048;
  std::uint32_t depth = 10;       // in one another
  std::uint32_t per_second = 20;  // calls of one user
  friend bool operator==(const RestrictSettings&, const RestrictSettings&) = default;
};

struct HostSettings {
  LogNames log_names = LogNames::kRefused;
  LogLevel log_level = LogLevel::kInfo;
  std::optional<ResolverAddress> metrics_listen;  // a loopback address and port; off by default
  std::uint32_t spare_children = 64;              // tables made ahead
  std::uint32_t max_workloads = 16384;
  Nanoseconds probe_interval = std::chrono::seconds(60);  // 0: no live proofs but those asked for
  std::string group = "namewall";                         // may read through the control socket
  std::uint64_t proxy_cache_bytes = 8u << 20;             // of the DNS proxy's answers, all resolvers together; 0: none
  RestrictSettings restrict;
  friend bool operator==(const HostSettings&, const HostSettings&) = default;
};

// All of host.toml.
struct HostFile {
  HostPolicy policy;
  HostSettings settings;
};

}  // namespace namewall
