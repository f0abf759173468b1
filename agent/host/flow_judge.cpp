#include "agent/host/flow_judge.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "policy/verdict.h"

namespace namewall::agent {
namespace {

using Kind = Flow::Kind;

struct End {
  Address address;
  Port port;
  friend auto operator<=>(const End&, const End&) = default;
};

Protocol protocol_of(Kind kind) { return kind == Kind::kTcp ? Protocol::kTcp : Protocol::kUdp; }

bool is_unspecified(const Address& address) { return address == Address() || address == Address::v4({0, 0, 0, 0}); }

// The sockets that wait for peers, and the ends of connections.
class Neighbours {
 public:
  explicit Neighbours(const std::vector<Flow>& flows) {
    for (const Flow& flow : flows) {
      if (flow.kind == Kind::kRaw) continue;
      const End local{flow.local, flow.local_port};
      if (flow.is_connected) {
        ends_.emplace(std::tuple(flow.kind, local), End{flow.remote, flow.remote_port});
      } else {
        waiting_.emplace(std::tuple(flow.kind, flow.local_port), flow.local);
      }
    }
  }

  bool waits_on(const Flow& flow) const {
    const auto [first, last] = waiting_.equal_range(std::tuple(flow.kind, flow.local_port));
    return std::any_of(first, last,
                       [&](const auto& entry) { return is_unspecified(entry.second) || entry.second == flow.local; });
  }

  bool have_other_end_of(const Flow& flow) const {
    const End remote{flow.remote, flow.remote_port}, local{flow.local, flow.local_port};
    const auto [first, last] = ends_.equal_range(std::tuple(flow.kind, remote));
    if (std::any_of(first, last, [&](const auto& entry) { return entry.second == local; })) return true;
    const auto [begin, end] = waiting_.equal_range(std::tuple(flow.kind, flow.remote_port));
    return std::any_of(begin, end,
                       [&](const auto& entry) { return is_unspecified(entry.second) || entry.second == flow.remote; });
  }

 private:
  std::multimap<std::tuple<Kind, End>, End> ends_;
  std::multimap<std::tuple<Kind, Port>, Address> waiting_;
};

// What the grants of one address say of the port.
struct Remembered {
  bool any = false;
  bool has_port = false;
};

class FlowJudge {
 public:
  FlowJudge(const PolicyImage& image, const std::vector<GrantRecord>& grants, const std::vector<Flow>& flows,
            bool cut_unattributed, const std::vector<ProxyPlace>& places)
      : image_(image), neighbours_(flows), cut_unattributed_(cut_unattributed), places_(places) {
    for (const GrantRecord& record : grants) grants_.emplace(record.grant.address, &record);
  }

  JudgedFlow judge(const Flow& flow) const {
    constexpr JudgedFlow kKeep{FlowVerdict::kKeep, NW_REASON_NONE};
    const auto destroy = [](Reason reason) { return JudgedFlow{FlowVerdict::kDestroy, reason}; };
    if (image_.mode == Mode::kAudit) return kKeep;
    if (flow.kind == Kind::kRaw) return destroy(NW_REASON_SOCKET_PROTOCOL);
    if (!flow.is_connected) return kKeep;
    const Protocol protocol = protocol_of(flow.kind);
    const bool is_loopback = is_loopback_destination(flow.remote);
    const bool may_accept = is_loopback && image_.may_listen;  // the loopback rule says, below
    if (!may_accept && flow.kind == Kind::kTcp && neighbours_.waits_on(flow)) {
      const bool listed = (image_.listen & image_.mask_of(protocol, flow.local_port)) != 0;
      return listed ? kKeep : destroy(NW_REASON_INBOUND_TCP);
    }
    if (const ProxyPlace* place = find_place(flow, protocol)) {
      return is_trusted(place->resolver) ? kKeep : destroy(NW_REASON_UNTRUSTED_RESOLVER);
    }
    const PortMask port = image_.mask_of(protocol, flow.remote_port);
    const AddressDecision decision = decide_address(image_, flow.remote);
    if ((decision.host_deny & port) != 0) return destroy(NW_REASON_HOST_DENY);
    if ((decision.deny & port) != 0) return destroy(NW_REASON_DENY_RULE);
    if (is_trusted({flow.remote, flow.remote_port})) {
      // nftables redirects a question on its way: its socket is connected to the resolver, also while the proxy's
      // sockets wait for the next daemon. What it did not redirect, it refuses.
      const bool is_redirected = image_.backend == Backend::kNft;
      const bool is_read = flow.kind == Kind::kUdp && image_.learn == Learn::kKernel;
      return is_redirected || is_read ? kKeep : destroy(NW_REASON_NO_PROXY_IN_NETNS);
    }
    if (is_loopback && image_.loopback == Loopback::kAny) return kKeep;
    if (is_loopback && image_.loopback == Loopback::kOwn && neighbours_.have_other_end_of(flow)) return kKeep;
    if ((decision.allow & port) != 0) return kKeep;
    if (is_loopback) return destroy(NW_REASON_LOOPBACK);
    const Remembered remembered = recall(flow.remote, port);
    if (remembered.has_port) return kKeep;
    if (remembered.any) return destroy(NW_REASON_NOT_ALLOWED_NOW);
    return cut_unattributed_ ? destroy(NW_REASON_NOT_LOOKED_UP)
                             : JudgedFlow{FlowVerdict::kUnattributed, NW_REASON_NONE};
  }

 private:
  bool is_trusted(const ResolverAddress& resolver) const {
    return std::ranges::find(image_.resolvers, resolver) != image_.resolvers.end();
  }

  const ProxyPlace* find_place(const Flow& flow, Protocol protocol) const {
    static const Address kPlaces[] = {Address::v4({127, 0, 0, 1}),
                                      Address::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})};
    const auto found = std::ranges::find_if(places_, [&](const ProxyPlace& place) {
      return place.protocol == protocol && place.port == flow.remote_port &&
             flow.remote == kPlaces[place.resolver.address.is_v4() ? 0 : 1];
    });
    return found == places_.end() ? nullptr : &*found;
  }

  Remembered recall(const Address& address, PortMask port) const {
    Remembered remembered;
    const auto [first, last] = grants_.equal_range(address);
    for (auto it = first; it != last; ++it) {
      remembered.any = true;
      if (it->second->grant.note == NW_REASON_NONE && (it->second->current_ports & port) != 0) {
        remembered.has_port = true;
      }
    }
    return remembered;
  }

  const PolicyImage& image_;
  Neighbours neighbours_;
  std::multimap<Address, const GrantRecord*> grants_;
  bool cut_unattributed_;
  const std::vector<ProxyPlace>& places_;
};

}  // namespace

std::string Flow::to_string() const {
  const auto end = [](const Address& address, Port port) {
    const std::string text = address.to_string();
    return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port.number);
  };
  const std::string name = kind == Kind::kTcp ? "tcp " : kind == Kind::kUdp ? "udp " : "raw ";
  if (kind == Kind::kRaw) return name + "protocol " + std::to_string(raw_protocol);
  return name + end(local, local_port) + " -> " + (is_connected ? end(remote, remote_port) : "*");
}

std::vector<JudgedFlow> judge_flows(const PolicyImage& image, const std::vector<GrantRecord>& grants,
                                    const std::vector<Flow>& flows, bool cut_unattributed,
                                    const std::vector<ProxyPlace>& places) {
  const FlowJudge judge(image, grants, flows, cut_unattributed, places);
  std::vector<JudgedFlow> out;
  out.reserve(flows.size());
  for (const Flow& flow : flows) out.push_back(judge.judge(flow));
  return out;
}

}  // namespace namewall::agent
