// SOCK_DESTROY (sock_diag(7), CONFIG_INET_DIAG_DESTROY): ending a TCP connection from outside its process.
#pragma once

#include "policy/result.h"

namespace namewall::agent {

// Destroys a connection of this process over 127.0.0.1, made for the purpose. kUnsupported: the kernel was built
// without it; kPermission: no CAP_NET_ADMIN.
Result<void> try_socket_destroy();

}  // namespace namewall::agent
