// Questions as C libraries ask them: each over a UDP socket, or a TCP connection, of its own.
#pragma once

#include <sys/socket.h>

#include "bench/dns_load/names.h"
#include "bench/dns_load/pace.h"
#include "bench/dns_load/tally.h"

namespace namewall::bench {

// `type`: SOCK_DGRAM or SOCK_STREAM. A latency begins before the socket is made. Returns the nanoseconds from the first
// question to the last answer.
Result<std::uint64_t> ask_over_fresh_sockets(const sockaddr_storage& server, int type, Pace pace, Names& names,
                                             Tally& tally);

}  // namespace namewall::bench
