// One resolver in one network namespace, as its clients there meet it: a UDP and a TCP socket, and who may use them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "agent/proxy/asker.h"
#include "agent/proxy/datagram_place.h"
#include "agent/proxy/poller.h"
#include "agent/proxy/proxy_sockets.h"
#include "agent/proxy/stream_place.h"
#include "agent/proxy/upstream.h"
#include "policy/proxy_place.h"

namespace namewall::agent {

// Whom an asker's question to `resolver` goes to; nullopt: a level does not trust that resolver. `place_netns`: where
// it was asked, 0 for the agent's own namespace.
std::optional<UpstreamTarget> choose_target(const Asker& asker, const ResolverAddress& resolver,
                                            std::uint64_t place_netns);

class ServedPlace {
 public:
  // `number` and number + 1: of the sockets in `poller`.
  ServedPlace(ProxySockets sockets, const ProxySocketsPlace& where, const ResolverAddress& resolver,
              std::uint64_t target_netns, std::uint64_t number, Poller& poller, StreamHost& host);
  ~ServedPlace();
  ServedPlace(const ServedPlace&) = delete;

  const ResolverAddress& resolver() const { return resolver_; }
  std::uint64_t udp_number() const { return number_; }
  std::uint64_t tcp_number() const { return number_ + 1; }
  DatagramPlace& datagrams() { return datagrams_; }
  StreamPlace& streams() { return streams_; }
  ProxyPlace place_of(Protocol protocol) const;

  // nullptr: it may not ask this resolver. Remembered until forget_askers().
  const UpstreamTarget* target_of(const Asker& asker);
  void forget_askers() { targets_.clear(); }

  bool has_replies = false;  // since the last flush

 private:
  struct Target {
    Asker asker;  // kept, so that its address means no other
    std::optional<UpstreamTarget> target;
  };
  ResolverAddress resolver_;
  ProxySocketsPlace where_;
  std::uint64_t target_netns_, number_;
  Poller& poller_;
  DatagramPlace datagrams_;
  StreamPlace streams_;
  std::unordered_map<const void*, Target> targets_;
};

}  // namespace namewall::agent
