// Questions over one connected UDP socket, in batches: the least that asking can cost, so that a server is what is
// slow.
#pragma once

#include <sys/socket.h>

#include "bench/dns_load/names.h"
#include "bench/dns_load/pace.h"
#include "bench/dns_load/tally.h"

namespace namewall::bench {

// Returns the nanoseconds from the first question to the last answer.
Result<std::uint64_t> ask_over_kept_socket(const sockaddr_storage& server, Pace pace, Names& names, Tally& tally);

}  // namespace namewall::bench
