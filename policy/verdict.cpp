#include "policy/verdict.h"

#include <algorithm>
#include <optional>

namespace namewall {
namespace {

class Walk {
 public:
  explicit Walk(const PolicyImage& image) : is_audit_(image.mode == Mode::kAudit) {}

  void pass_by(const char* stage, std::string detail) { verdict_.walk.push_back({stage, std::move(detail), false}); }

  Verdict allow(const char* stage, std::string detail) {
    verdict_.walk.push_back({stage, std::move(detail), true});
    verdict_.allowed = true;
    return std::move(verdict_);
  }

  Verdict refuse(const char* stage, std::string detail, Reason reason) {
    verdict_.walk.push_back({stage, std::move(detail), true});
    verdict_.allowed = is_audit_;
    verdict_.reason = reason;
    return std::move(verdict_);
  }

  void add_name(const DomainName& name) { verdict_.names.push_back(name); }

 private:
  bool is_audit_;
  Verdict verdict_;
};

constexpr Port kDnsPort{53};

std::string describe_ports(const PolicyImage& image, PortMask mask, const char* verb, const Address& address) {
  const std::string ports = image.ports_of(mask & kAllPorts).to_string();
  return (ports.empty() ? std::string("no port is ") : ports + " is ") + verb + " at " + address.to_string();
}

std::string describe_duration(Nanoseconds duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(duration).count()) + " s";
}

std::string describe_grant(const PolicyImage& image, const Grant& grant, BootTime now) {
  std::string text = grant.name.text() + " ";
  if (grant.note != NW_REASON_NONE) return text + std::string(code_of(grant.note));
  text += grant.ports == 0 ? "no port" : image.ports_of(grant.ports).to_string();
  if (grant.deadline == kNever) return text + " for as long as the workload lives";
  if (grant.is_live(now)) return text + " for " + describe_duration(grant.deadline - now);
  return text + " until " + describe_duration(now - grant.deadline) + " ago";
}

std::string describe_grants(const PolicyImage& image, const std::vector<Grant>& grants, BootTime now) {
  if (grants.empty()) return "no lookup gave this address";
  std::string text;
  for (const Grant& grant : grants) text += (text.empty() ? "" : "; ") + describe_grant(image, grant, now);
  return text;
}

const char* describe_loopback(Loopback loopback, LoopbackListener listener) {
  if (loopback == Loopback::kAny) return "loopback is open to this workload";
  if (loopback == Loopback::kNone) return "loopback is closed to this workload";
  switch (listener) {
    case LoopbackListener::kOwn:
      return "a socket of this workload listens there";
    case LoopbackListener::kForeign:
      return "a socket outside of this workload listens there";
    case LoopbackListener::kNone:
      break;
  }
  return "nothing listens there";
}

// The place of an entry that does not allow in the list of reasons: the smallest is reported.
struct RankedReason {
  int rank;
  Reason reason;
};

RankedReason rank_of(const Grant& grant, PortMask port, BootTime now) {
  if (grant.note != NW_REASON_NONE) return {grant.note == NW_REASON_PRIVATE_ANSWER ? 4 : 5, grant.note};
  if (grant.is_live(now)) {
    return grant.ports != 0 ? RankedReason{1, NW_REASON_PORT} : RankedReason{3, NW_REASON_NOT_ALLOWED_NOW};
  }
  if ((grant.ports & port) != 0) return {2, NW_REASON_EXPIRED};
  return grant.ports != 0 ? RankedReason{6, NW_REASON_EXPIRED} : RankedReason{7, NW_REASON_NOT_ALLOWED_NOW};
}

Reason why_not_granted(const std::vector<Grant>& grants, PortMask port, BootTime now) {
  RankedReason first{8, NW_REASON_NOT_LOOKED_UP};
  for (const Grant& grant : grants) {
    const RankedReason own = rank_of(grant, port, now);
    if (own.rank < first.rank) first = own;
  }
  return first.reason;
}

}  // namespace

std::string Destination::to_string() const {
  const std::string text = namewall::to_string(protocol) + " ";
  if (protocol == Protocol::kIcmp) return text + address.to_string();
  const std::string host = address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
  return text + host + ":" + std::to_string(port.number);
}

Verdict judge(const PolicyImage& image, const GrantTable& grants, const Destination& destination, BootTime now,
              LoopbackListener listener, ResolverProxy proxy) {
  Walk walk(image);
  const Address& address = destination.address;
  const PortMask port = image.mask_of(destination.protocol, destination.port);
  const AddressDecision rules = decide_address(image, address);

  const std::string host_denies = describe_ports(image, rules.host_deny, "denied by the host", address);
  if ((rules.host_deny & port) != 0) return walk.refuse("host deny", host_denies, NW_REASON_HOST_DENY);
  walk.pass_by("host deny", host_denies);

  const std::string denies = describe_ports(image, rules.deny, "denied", address);
  if ((rules.deny & port) != 0) return walk.refuse("deny rules", denies, NW_REASON_DENY_RULE);
  walk.pass_by("deny rules", denies);

  const bool is_resolver = std::find(image.resolvers.begin(), image.resolvers.end(),
                                     ResolverAddress{address, destination.port}) != image.resolvers.end();
  if (is_resolver && destination.protocol != Protocol::kIcmp) {
    const bool needs_proxy = destination.protocol == Protocol::kTcp || image.learn == Learn::kProxy;
    if (!needs_proxy) return walk.allow("resolver", "a trusted resolver: its questions are checked");
    if (proxy == ResolverProxy::kServes)
      return walk.allow("resolver", "a trusted resolver: the DNS proxy checks its questions");
    return walk.refuse("resolver", "a trusted resolver, and no DNS proxy is there", NW_REASON_NO_PROXY_IN_NETNS);
  }
  walk.pass_by("resolver", "not a trusted resolver");

  const bool is_loopback = is_loopback_destination(address);
  if (is_loopback) {
    const char* detail = describe_loopback(image.loopback, listener);
    const bool is_own = image.loopback == Loopback::kOwn && listener == LoopbackListener::kOwn;
    if (is_own || image.loopback == Loopback::kAny) return walk.allow("loopback", detail);
    walk.pass_by("loopback", detail);
  }

  const std::string allows = describe_ports(image, rules.allow, "allowed", address);
  if ((rules.allow & port) != 0) return walk.allow("address rules", allows);
  if (is_loopback) return walk.refuse("address rules", allows, NW_REASON_LOOPBACK);
  walk.pass_by("address rules", allows);

  const std::vector<Grant> found = grants.find(address, now);
  for (const Grant& grant : found) walk.add_name(grant.name);
  const std::string known = describe_grants(image, found, now);
  const bool is_granted = std::any_of(
      found.begin(), found.end(), [&](const Grant& grant) { return grant.is_live(now) && (grant.ports & port) != 0; });
  if (is_granted) return walk.allow("grants", known);
  Reason reason = why_not_granted(found, port, now);
  const PortMask open_ports = rules.allow & ~rules.deny & ~rules.host_deny;
  if (reason == NW_REASON_NOT_LOOKED_UP && open_ports != 0) {
    reason = NW_REASON_PORT;
  } else if (reason == NW_REASON_NOT_LOOKED_UP && destination.port == kDnsPort &&
             destination.protocol != Protocol::kIcmp) {
    reason = NW_REASON_UNTRUSTED_RESOLVER;
  }
  return walk.refuse("grants", known, reason);
}

}  // namespace namewall
