// Connection tracking entries of DNS flows that are older than their policy: they would keep their old way past the nat
// chain.
#pragma once

#include <cstddef>
#include <span>

#include "policy/file_descriptor.h"
#include "policy/resolv_conf.h"
#include "policy/result.h"

namespace namewall::nft {

Result<FileDescriptor> open_conntrack_socket_here();
// Deletes the entries to these resolvers that are not translated to a place yet; returns how many. No connection
// tracking in this namespace: 0.
Result<std::size_t> forget_dns_flows(int socket, std::span<const ResolverAddress> resolvers);

}  // namespace namewall::nft
