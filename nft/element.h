// One element of a set of the table, as a value: what is sent and what a listing gives back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nft/table_shape.h"
#include "policy/address.h"
#include "policy/boot_time.h"
#include "policy/port_set.h"

namespace namewall::nft {

using Bytes = std::vector<std::uint8_t>;

struct Element {
  SetId set = SetId::kEnforced;
  Bytes key{};
  Bytes key_end{};                       // of sets with intervals: the last one, included; else empty
  Bytes data{};                          // of maps
  std::optional<Nanoseconds> timeout{};  // as it was set
  std::optional<Nanoseconds> expires{};  // what is left of it; in a change at most the timeout, absent: the same
  std::string comment{};                 // at most kMaxComment bytes, no control characters
  std::uint64_t packets = 0;             // of a counter, in a listing; and its bytes
  std::uint64_t bytes = 0;
  friend bool operator==(const Element&, const Element&) = default;
};
// With its NUL and its head less than the 255 bytes at which the kernel's lengths overflow (6.18 refuses 252
// characters, and takes 253 for none).
inline constexpr std::size_t kMaxComment = 240;

// (address, protocol, port) as the keys have it.
struct EndpointKey {
  std::uint64_t cgroup_id = 0;
  Address address;
  std::uint8_t ip_protocol = 0;  // IPPROTO_TCP, _UDP, _ICMP, _ICMPV6
  std::uint16_t port = 0;        // of ICMP: kEchoRequest4, kEchoRequest6
  friend auto operator<=>(const EndpointKey&, const EndpointKey&) = default;
};
EndpointKey endpoint_key(std::uint64_t cgroup_id, const Address& address, Protocol protocol, Port port);

Bytes encode_cgroup(std::uint64_t cgroup_id);
Bytes encode(const EndpointKey& key);                                           // 20 bytes, or 32 for IPv6
std::optional<EndpointKey> decode_endpoint(std::span<const std::uint8_t> key);  // nullopt: not of that size
Bytes encode_address(std::uint64_t cgroup_id, const Address& address, std::uint8_t ip_protocol);  // of the wide sets
Bytes encode_port(std::uint64_t cgroup_id, std::uint8_t ip_protocol, std::uint16_t port);         // listen, wide_ports
Bytes encode_own_pair(std::uint32_t mark, std::uint64_t cgroup_id);
Bytes encode_place(const Address& resolver, std::uint8_t ip_protocol, std::uint16_t port);  // key of places
Bytes encode_mark(std::uint32_t mark);                                                      // data of tokens
Bytes encode_port_data(std::uint16_t port);                                                 // data of places

// What each field of a key is in an element read back. nullopt: the key has not the set's size.
std::optional<std::uint64_t> decode_cgroup(SetId set, std::span<const std::uint8_t> key);
struct KeyFields {
  std::uint64_t cgroup_id = 0;
  Address address;
  std::uint8_t ip_protocol = 0;
  std::uint16_t port = 0;
  std::uint32_t mark = 0;
  friend bool operator==(const KeyFields&, const KeyFields&) = default;
};
std::optional<KeyFields> decode_key(SetId set, std::span<const std::uint8_t> key);

// The comment of a learned element: "registry.npmjs.org by registry.npmjs.org:443", with " +2" behind the name where
// more names share the address. Read back when a daemon adopts the table.
struct GrantComment {
  std::string name;
  unsigned others = 0;
  std::string rule;  // "" where the name's rule is not known (any more)
};
std::string to_comment(const GrantComment& comment);  // cut to kMaxComment: the rule first; what was cut ends in "..."
std::optional<GrantComment> parse_grant_comment(std::string_view text);

// The comment of an element of `enforced`: "workload 12.3 policy 00f1e2d3c4b5a697 /ci.slice/job", or "template ...".
// Bytes of the path that nft could not print in quotes are written as %XX; a path that is too long ends in "...".
struct WorkloadTag {
  std::uint32_t workload_id = 0;
  std::uint32_t generation = 0;
  std::uint64_t image_hash = 0;
  bool is_template = false;
  std::string cgroup;  // path
};
std::string to_comment(const WorkloadTag& tag);
std::optional<WorkloadTag> parse_workload_tag(std::string_view text);

}  // namespace namewall::nft
