// The socket operations whose cost is compared. One object per process: its client sockets are made in the process's
// cgroup, its servers are handed in and live outside it, so that only the client's side carries the programs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/worker/destinations.h"
#include "bench/worker/placement.h"
#include "policy/result.h"

namespace namewall::bench {

class SocketCalls {
 public:
  using Call = std::function<Result<void>(std::uint32_t)>;

  // `listener`: non-blocking; both servers outlive this object.
  SocketCalls(int listener, std::uint16_t listener_port, std::uint16_t sink_port, std::uint32_t grants);

  // "udp_connect", "tcp_connect_close", "tcp_connect_accept_close", "tcp_ping_pong", "udp_send", "udp_sendto"; `cold`
  // picks the destinations. The call is valid as long as this object. kInvalid: no such operation.
  Result<Call> find(const std::string& name, bool cold);
  // Accepts and resets what tcp_connect_close left in the backlog: both ends vanish, without TIME_WAIT.
  Result<void> drain();

 private:
  Result<void> udp_connect(Destinations& destinations);
  Result<void> tcp_connect_close(Destinations& destinations);
  Result<void> tcp_connect_accept_close(Destinations& destinations);
  Result<void> open_conversation(const sockaddr_in& to);
  Result<void> tcp_ping_pong();
  Result<void> udp_send(std::uint32_t i, const std::vector<Descriptor>& senders);
  Result<void> udp_sendto(Destinations& destinations);

  int listener_;
  Destinations tcp_hot_, tcp_cold_, udp_hot_, udp_cold_;
  Descriptor connecting_, unconnected_;
  Descriptor client_, served_;                          // of tcp_ping_pong
  std::vector<Descriptor> hot_senders_, cold_senders_;  // connected
};

}  // namespace namewall::bench
