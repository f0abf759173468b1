#include "bpf/rule_entries.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "policy/learning.h"

namespace namewall::bpf {
namespace {

constexpr std::uint32_t kPolicyIdBits = 32;

nw_masks to_masks(const NameMasks& masks) { return {masks.allow, masks.allow_private, masks.deny}; }

nw_name_key make_name_key(const NameNode& node, std::uint32_t policy_id) {
  assert(node.name.size() <= NW_NAME_MAX);
  nw_name_key key{};
  key.policy_id = policy_id;
  std::reverse_copy(node.name.begin(), node.name.end(), key.reversed);
  std::size_t bytes = node.name.size();
  if (!node.name.empty()) key.reversed[bytes++] = node.is_below ? '.' : '\0';
  key.prefixlen = kPolicyIdBits + static_cast<std::uint32_t>(bytes) * 8;
  return key;
}

std::uint8_t count_labels(const std::string& name) {
  return name.empty() ? 0 : static_cast<std::uint8_t>(1 + std::count(name.begin(), name.end(), '.'));
}

nw_name_node make_name_node(const NameNode& node) {
  nw_name_node value{};
  value.masks[0] = to_masks(node.masks[0]);
  value.masks[1] = to_masks(node.masks[1]);
  value.glob_count = static_cast<std::uint8_t>(node.globs.size());
  value.labels = count_labels(node.name);
  std::copy(node.globs.begin(), node.globs.end(), value.globs);
  return value;
}

// The pattern over the reversed name, as nw_glob states it.
std::string reverse_pattern(std::string_view pattern) {
  std::string reversed;
  while (true) {
    const std::size_t dot = pattern.rfind('.');
    const std::string_view label = dot == std::string_view::npos ? pattern : pattern.substr(dot + 1);
    if (label == "**") {
      reversed += '#';
    } else if (label == "*") {
      reversed += '+';
    } else {
      reversed.append(label.rbegin(), label.rend());
    }
    if (dot == std::string_view::npos) return reversed;
    reversed += '.';
    pattern = pattern.substr(0, dot);
  }
}

nw_glob make_glob(const Glob& glob) {
  nw_glob value{};
  value.masks = to_masks(glob.masks);
  const std::string reversed = reverse_pattern(glob.pattern.text());
  assert(reversed.size() < sizeof(value.pattern));
  std::memcpy(value.pattern, reversed.data(), reversed.size());
  return value;
}

nw_address_key make_address_key(const Prefix& prefix, std::uint32_t policy_id) {
  constexpr std::uint32_t kFamilyBits = 32, kMappedBits = 96;
  nw_address_key key{};
  key.policy_id = policy_id;
  key.family = htonl(prefix.is_v4() ? 4 : 6);
  copy_address(prefix.base(), key.address);
  key.prefixlen = kPolicyIdBits + kFamilyBits + (prefix.is_v4() ? kMappedBits : 0) + prefix.length();
  return key;
}

std::uint64_t to_count(Nanoseconds duration) { return static_cast<std::uint64_t>(duration.count()); }

}  // namespace

void copy_address(const Address& address, __u32 (&words)[4]) { std::memcpy(words, address.bytes().data(), 16); }

Address to_address(const __u32 (&words)[4]) {
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), words, bytes.size());
  return Address::v6(bytes);
}

nw_window make_window(const std::string& name) {
  assert(name.size() <= NW_NAME_MAX);
  nw_window window{};
  auto* end = reinterpret_cast<char*>(&window) + sizeof(window);
  std::reverse_copy(name.begin(), name.end(), end - name.size());
  return window;
}

std::string name_of(const nw_window& window, std::uint32_t length) {
  if (length > sizeof(window)) return {};
  const auto* end = reinterpret_cast<const char*>(&window) + sizeof(window);
  return {std::make_reverse_iterator(end), std::make_reverse_iterator(end - length)};
}

RuleEntries make_rule_entries(const PolicyImage& image, std::uint32_t policy_id) {
  RuleEntries entries;
  if (kernel_holds_names(image)) {
    for (const NameNode& node : image.names) entries.names.add(make_name_key(node, policy_id), make_name_node(node));
    for (std::size_t i = 0; i < image.globs.size(); ++i) {
      entries.globs.add({policy_id, static_cast<std::uint32_t>(i)}, make_glob(image.globs[i]));
    }
  }
  for (const AddressNode& node : image.addresses) {
    entries.addresses.add(make_address_key(node.prefix, policy_id), {node.allow, node.deny, node.host_deny});
  }
  return entries;
}

void describe_policy(const PolicyImage& image, nw_workload& workload) {
  workload.mode = image.mode == Mode::kAudit ? NW_MODE_AUDIT : NW_MODE_ENFORCE;
  workload.flags = 0;
  for (const AddressNode& node : image.addresses) {
    workload.flags |= node.prefix.is_v4() ? NW_FLAG_ADDRESS_RULES_V4 : NW_FLAG_ADDRESS_RULES_V6;
  }
  if (image.loopback == Loopback::kOwn) workload.flags |= NW_FLAG_LOOPBACK_OWN;
  if (image.loopback == Loopback::kAny) workload.flags |= NW_FLAG_LOOPBACK_ANY;
  if (image.retain == Retain::kWorkload) workload.flags |= NW_FLAG_RETAIN_WORKLOAD;
  if (image.learn == Learn::kProxy) workload.flags |= NW_FLAG_PROXY;
  workload.fresh_per_second = image.bounds.fresh_per_second;
  // The proxy answers what is beyond the bound, up to twice as much: its socket is everybody's.
  workload.proxied_per_second = 2 * std::min(image.bounds.per_second, UINT32_MAX / 2);
  workload.min_ttl = to_count(image.min_ttl);
  workload.max_ttl = to_count(image.max_ttl);
  workload.grace = to_count(image.grace);
  workload.listen = image.listen;

  assert(image.resolvers.size() <= NW_MAX_RESOLVERS);
  workload.resolver_count = static_cast<std::uint32_t>(image.resolvers.size());
  workload.first_resolver_port = image.resolvers.empty() ? 1 : UINT16_MAX;  // none: no port lies between 1 and 0
  workload.last_resolver_port = 0;
  for (std::size_t i = 0; i < image.resolvers.size(); ++i) {
    const std::uint16_t port = image.resolvers[i].port.number;
    copy_address(image.resolvers[i].address, workload.resolvers[i].address);
    workload.resolvers[i].port = port;
    workload.first_resolver_port = std::min(workload.first_resolver_port, port);
    workload.last_resolver_port = std::max(workload.last_resolver_port, port);
  }

  assert(!image.ports.empty() && image.ports.size() <= NW_MAX_PORT_INTERVALS);
  workload.interval_count = static_cast<std::uint32_t>(image.ports.size());
  std::fill(std::begin(workload.intervals), std::end(workload.intervals), ~std::uint32_t{0});
  for (std::size_t i = 0; i < image.ports.size(); ++i) {
    workload.intervals[i] = image.ports[i].start << 8 | image.ports[i].port_class;
  }
}

}  // namespace namewall::bpf
