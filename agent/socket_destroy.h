// SOCK_DESTROY (sock_diag(7), CONFIG_INET_DIAG_DESTROY): ending a socket from outside its process.
#pragma once

#include "policy/result.h"

struct inet_diag_req_v2;

namespace namewall::agent {

// Ends the socket that the request names by family, protocol, id and cookie. `diagnosis`: a NETLINK_SOCK_DIAG socket
// without a dump under way. kNotFound: there is none (any more); kPermission: CAP_NET_ADMIN over the socket's namespace
// is missing to this process or to who opened `diagnosis`.
Result<void> send_socket_destroy(int diagnosis, const inet_diag_req_v2& request);

// Destroys a connection of this process over 127.0.0.1, made for the purpose. kUnsupported: the kernel was built
// without it; kPermission: no CAP_NET_ADMIN.
Result<void> try_socket_destroy();

}  // namespace namewall::agent
