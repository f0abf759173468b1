// The bounds of the control socket, and what happens at each: one more connection gets 503 and is closed; a longer
// header 431; a longer body 413; a slower request 408; an events reader that falls behind is told how many it missed,
// and one that takes nothing at all is closed.
#pragma once

#include <chrono>
#include <cstddef>

namespace namewall::agent {

struct ControlLimits {
  std::size_t connections_per_user = 8;  // of one user without rights
  std::size_t unprivileged_connections = 64;
  std::size_t privileged_connections = 192;  // of root, the daemon's own user and the readers' group together
  std::size_t header_bytes = 16 << 10;
  std::size_t body_bytes = 1 << 20;
  std::size_t small_body_bytes = 16 << 10;         // of requests that carry no policy
  std::chrono::milliseconds request_time{10'000};  // from a request's first byte to its last
  std::chrono::milliseconds answer_time{60'000};   // to take an answer that has an end
  std::chrono::milliseconds idle_time{30'000};     // without a byte taken or given, but by one who waits for events
  int send_buffer_bytes = 64 << 10;
  std::size_t waiting_events = 256;  // per events reader
};

}  // namespace namewall::agent
