// What each request does: from a routed request and its peer to a reply. Knows nothing of sockets.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "agent/control/access.h"
#include "agent/control/control_limits.h"
#include "agent/control/reply.h"
#include "agent/control/request_target.h"
#include "agent/control/routes.h"
#include "agent/host/host.h"
#include "policy/result.h"

namespace namewall::agent {

struct ControlRequest {
  const Route* route = nullptr;
  std::string name;  // of the workload
  std::map<std::string, std::string> query;
  std::string body;
};

// The request of this method and target, without its body; or what to answer at once (404, 405, OPTIONS, 400).
struct RoutedRequest {
  ControlRequest request;
  std::unique_ptr<Reply> refusal;
};
RoutedRequest route_request(std::string_view method, std::string_view target);

class Endpoints {
 public:
  Endpoints(Host& host, AccessRules rules, std::size_t waiting_events)
      : host_(host), rules_(rules), waiting_events_(waiting_events) {}

  // Before the body is read: whether this peer may ask it at all.
  Result<Peer> admit(const PeerIdentity& identity, const ControlRequest& request) {
    return agent::admit(identity, request.route->right, rules_, host_);
  }
  Reply answer(const PeerIdentity& identity, const ControlRequest& request);

  static constexpr long kMaxLists = 8;  // lists of workloads, grants or sets being read at the same time

 private:
  Reply answer_read(const Peer& peer, const ControlRequest& request);
  Reply answer_change(const Peer& peer, const ControlRequest& request);
  Reply explain(const PeerIdentity& identity, const ControlRequest& request);
  Reply restrict(const Peer& peer, const ControlRequest& request);
  Reply events(const ControlRequest& request);
  template <typename View>
  Reply list(std::vector<View> views);
  template <typename... Sets>
  Reply sets(Sets... sets);

  Host& host_;
  AccessRules rules_;
  std::size_t waiting_events_;
  std::shared_ptr<void> lists_ = std::make_shared<int>(0);  // its users but one: the lists being read
};

}  // namespace namewall::agent
