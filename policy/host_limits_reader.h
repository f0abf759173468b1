// host.toml's `block_networks`, `[limits]` and `profile`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/config_reader.h"
#include "policy/policy.h"

namespace namewall {

class HostLimitsReader {
 public:
  HostLimitsReader(ConfigReader& config, HostPolicy& policy) : config_(config), policy_(policy) {}

  void read_block_networks(const ConfigNode& node);
  void read_limits(const ConfigNode& node);
  void read_profile(const ConfigNode& node);
  // Once all keys are read: what the limits say, and the profile where they say nothing, becomes blocks.
  void finish();

 private:
  struct Limit {
    bool is_denied = false;
    std::vector<std::string> exempt;
    Position position;
  };
  void read_limit(const ConfigNode& node, std::string_view key, std::optional<Limit>& limit);
  std::vector<std::string> read_exempt(const ConfigNode& node, std::string_view key);
  void check_profile_listens_never();
  void deny(const std::optional<Limit>& limit, std::string_view from, std::initializer_list<const char*> endpoints);

  ConfigReader& config_;
  HostPolicy& policy_;
  std::optional<Limit> listen_, low_ports_, udp_;
  Position profile_at_;
};

}  // namespace namewall
