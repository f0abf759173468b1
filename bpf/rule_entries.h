// A PolicyImage as the entries of the kernel's rule maps, under one policy id. Pure.
#pragma once

#include <vector>

#include "bpf/abi.h"
#include "policy/policy_image.h"

namespace namewall::bpf {

template <typename Key, typename Value>
struct Entries {
  std::vector<Key> keys;
  std::vector<Value> values;
  void add(const Key& key, const Value& value) {
    keys.push_back(key);
    values.push_back(value);
  }
};

struct RuleEntries {
  Entries<nw_name_key, nw_name_node> names;
  Entries<nw_glob_key, nw_glob> globs;
  Entries<nw_address_key, nw_address_node> addresses;
};

RuleEntries make_rule_entries(const PolicyImage& image, std::uint32_t policy_id);

// Fills what depends on the policy: mode, flags (but NW_FLAG_STRICT), times, resolvers, ports, listen.
void describe_policy(const PolicyImage& image, nw_workload& workload);

// The 16 bytes of an address as the maps hold them.
void copy_address(const Address& address, __u32 (&words)[4]);
Address to_address(const __u32 (&words)[4]);

// The reversed name, right-justified; and back.
nw_window make_window(const std::string& name);
std::string name_of(const nw_window& window, std::uint32_t length);

}  // namespace namewall::bpf
