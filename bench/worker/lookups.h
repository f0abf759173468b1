// DNS transactions: to a real server, or to a crafted one in this same thread (ping-pong), where nothing waits and only
// the packet path is left.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "bench/worker/dns_wire.h"
#include "bench/worker/placement.h"
#include "policy/result.h"

namespace namewall::bench {

class Lookups {
 public:
  // `responder`: a bound UDP socket in the server's network namespace, reachable at `crafted`. It outlives this object.
  Lookups(const sockaddr_in& server, int responder, const sockaddr_in& crafted);

  // One question to the real server over a socket of its own, as a C library's resolver asks; waits for the answer.
  Result<void> ask_server(const std::string& name);
  // One question and its answer over one socket that is kept. kSystem, with the errno, when the question is refused.
  Result<void> ask_crafted(const std::string& name, const AnswerShape& shape, std::uint32_t first_address);

 private:
  Result<void> connect_crafted();

  sockaddr_in server_;
  sockaddr_in crafted_;
  int responder_;
  Descriptor kept_;
  std::uint16_t id_ = 0;
};

// A responder for ask_crafted, bound to `address`; call inside the server's network namespace.
Result<Descriptor> open_responder(const sockaddr_in& address);

}  // namespace namewall::bench
