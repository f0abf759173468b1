// Connection tracking entries of DNS flows that are older than their policy: they would keep their old way past the nat
// chain.
#pragma once

#include <cstddef>
#include <span>

#include "policy/file_descriptor.h"
#include "policy/proxy_place.h"
#include "policy/resolv_conf.h"
#include "policy/result.h"

namespace namewall::nft {

Result<FileDescriptor> open_conntrack_socket_here();

// Deletes the entries of UDP and TCP flows to these resolvers that do not lead to one of `places` (of any namespace:
// their netns_cookie does not matter), whoever has them: their next packet makes a new entry. How many. 0 where this
// namespace tracks no connections.
Result<std::size_t> forget_dns_flows(int socket, std::span<const ResolverAddress> resolvers,
                                     std::span<const ProxyPlace> places);

}  // namespace namewall::nft
