// What resolv.conf(5) says, read from its text: nameservers (with "system" = 127.0.0.1 when there is none, as glibc
// does), search domains, ndots. Unknown options are ignored as every resolver does.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/address.h"
#include "policy/domain_name.h"
#include "policy/port_set.h"

namespace namewall {

struct ResolverAddress {
  Address address;
  Port port{53};
  friend auto operator<=>(const ResolverAddress&, const ResolverAddress&) = default;
};

struct ResolvConf {
  std::vector<ResolverAddress> nameservers;  // at most 3, as glibc
  std::vector<DomainName> search;            // at most 6 are used by old glibc; all are kept here
  std::uint32_t ndots = 1;
};

ResolvConf parse_resolv_conf(std::string_view text);

// ADDR, ADDR:PORT, [ADDR6]:PORT or bare ADDR6.
std::optional<ResolverAddress> parse_resolver_address(std::string_view text);

}  // namespace namewall
