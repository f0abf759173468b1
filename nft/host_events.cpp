// HostEnforcer: refusals as events, and what was counted.
#include <netinet/in.h>

#include <algorithm>

#include "nft/host_state.h"
#include "policy/verdict.h"

namespace namewall::nft {
namespace {

using Kind = LogPrefix::Kind;

std::optional<Protocol> protocol_of(std::uint8_t ip_protocol) {
  switch (ip_protocol) {
    case IPPROTO_TCP:
      return Protocol::kTcp;
    case IPPROTO_UDP:
      return Protocol::kUdp;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return Protocol::kIcmp;
    default:
      return std::nullopt;
  }
}

Hook hook_of(const LoggedPacket& packet) {
  if (packet.ip_protocol == IPPROTO_TCP) return packet.is_tcp_start ? Hook::kConnect : Hook::kPacket;
  return protocol_of(packet.ip_protocol) ? Hook::kSend : Hook::kPacket;
}

// Why the rules refused what leaves: judge()'s reason, or what only a packet shows.
void explain(const LoggedPacket& packet, const WorkloadModel& workload, bool has_place, BootTime now, Event& event) {
  const auto protocol = protocol_of(packet.ip_protocol);
  if (!protocol) {
    event.reason = NW_REASON_PACKET_PROTOCOL;
    return;
  }
  if (workload.is_denied || !workload.image) {
    event.reason = NW_REASON_NOT_ALLOWED_NOW;
    return;
  }
  const bool is_icmp = *protocol == Protocol::kIcmp;
  const std::uint16_t port = is_icmp ? std::uint16_t{0} : packet.destination_port;
  const std::uint16_t echo = packet.is_ipv6 ? kEchoRequest6 : kEchoRequest4;
  if (is_icmp && packet.destination_port != echo) {
    event.reason = NW_REASON_PACKET_PROTOCOL;
    return;
  }
  const Verdict verdict =
      judge(*workload.image, workload.grants, {*protocol, packet.destination, Port{port}}, now,
            LoopbackListener::kForeign, has_place ? ResolverProxy::kServes : ResolverProxy::kAbsent);
  if (!verdict.names.empty()) event.name = verdict.names.front().text();
  event.reason = verdict.reason;
  if (verdict.reason == NW_REASON_NONE) {
    // The kernel's clock ended it a moment before the model's, or the packet is odd.
    event.reason = verdict.names.empty() ? NW_REASON_PACKET_OPTIONS : NW_REASON_EXPIRED;
  } else if (event.hook == Hook::kPacket) {
    event.reason = NW_REASON_PACKET_OLD_SOCKET;
  }
  if (event.reason != NW_REASON_EXPIRED) return;
  BootTime last{};
  for (const Grant& grant : workload.grants.find(packet.destination, now)) {
    if (grant.note == NW_REASON_NONE && !grant.is_live(now)) last = std::max(last, grant.deadline);
  }
  if (last != BootTime{}) event.expired_for_ns = (now - last).count();
}

}  // namespace

void HostEnforcer::State::note(const LoggedPacket& packet, const NamespaceTable& table, std::vector<Event>& events) {
  const auto prefix = parse_prefix(packet.prefix);
  if (!prefix) return;
  const auto token = tokens.find(static_cast<AskerToken>(packet.mark >> kTokenShift));
  WorkloadModel* workload = token == tokens.end() ? nullptr : find(token->second);
  const BootTime now = boot_now();
  Event event;
  event.time = now;
  event.netns_cookie = table.cookie();
  event.ip_protocol = packet.ip_protocol;
  event.uid = packet.uid;
  event.audit = prefix->is_audit;
  const bool is_inbound = prefix->kind == Kind::kIn;
  const bool is_icmp = protocol_of(packet.ip_protocol) == Protocol::kIcmp;
  event.address = is_inbound ? packet.source : packet.destination;
  event.port = Port{is_icmp ? std::uint16_t{0} : is_inbound ? packet.source_port : packet.destination_port};
  event.hook = is_inbound ? Hook::kInbound : hook_of(packet);
  if (prefix->kind == Kind::kUnknown) {
    event.reason = NW_REASON_UNARMED_CHILD;
  } else if (is_inbound) {
    event.reason = packet.ip_protocol == IPPROTO_TCP ? NW_REASON_INBOUND_TCP : NW_REASON_INBOUND_UDP;
  } else if (prefix->kind == Kind::kOwn) {
    event.reason = NW_REASON_LOOPBACK;
  } else if (workload != nullptr) {
    const bool has_place = std::any_of(places.begin(), places.end(), [&](const ProxyPlace& place) {
      return place.netns_cookie == table.cookie() && place.protocol == protocol_of(packet.ip_protocol) &&
             place.resolver == ResolverAddress{packet.destination, Port{packet.destination_port}};
    });
    explain(packet, *workload, has_place, now, event);
  } else {
    event.reason = NW_REASON_NOT_ARMED;
  }
  if (workload != nullptr) {
    event.workload_id = workload->workload_id;
    event.cgroup_id = workload->cgroup_id;
    event.policy_generation = workload->generation;
    ++workload->by_reason[event.reason];
    ++workload->events;
    if (event.audit) ++workload->by_audit;
    const std::uint64_t told = workload->events + workload->told_left_out;
    if (workload->refused > told) {
      event.left_out = workload->refused - told;
      workload->told_left_out += event.left_out;
    }
  }
  events.push_back(std::move(event));
}

std::vector<int> HostEnforcer::event_fds() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<int> fds;
  for (const auto& table : state_->tables) {
    if (table->log) fds.push_back(table->log->fd());
  }
  return fds;
}

Result<std::size_t> HostEnforcer::consume_events(std::size_t max, const std::function<void(const Event&)>& handle) {
  std::vector<Event> events;
  Result<void> failed;
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& table : state_->tables) {
      if (!table->log || events.size() >= max) continue;
      const auto read = table->log->read(max - events.size(),
                                         [&](const LoggedPacket& packet) { state_->note(packet, *table, events); });
      if (!read) failed = tl::unexpected(read.error());
    }
    if (!events.empty()) state_->read_refused();
  }
  for (const Event& event : events) handle(event);  // it may call this object
  if (!failed && events.empty()) return tl::unexpected(failed.error());
  return events.size();
}

// The kernel's counters, at most once a second: a listing of all of them.
void HostEnforcer::State::read_refused() {
  const auto now = std::chrono::steady_clock::now();
  if (now - refused_read < std::chrono::seconds(1)) return;
  refused_read = now;
  std::unordered_map<std::uint64_t, std::uint64_t> packets;
  for (const auto& table : tables) {
    if (!table->is_made()) continue;
    (void)list_elements(
        table->socket(), SetId::kRefused,
        [&](const Element& element) {
          if (const auto cgroup = decode_cgroup(element.set, element.key)) packets[*cgroup] += element.packets;
        },
        table->name());
  }
  for (const auto& [id, count] : packets) {
    if (WorkloadModel* workload = find(id)) workload->refused = count;
  }
}

Result<Counters> HostEnforcer::read_counters(std::uint64_t cgroup_id) const {
  const std::lock_guard lock(state_->mutex);
  state_->read_refused();
  const WorkloadModel* workload = state_->find(cgroup_id);
  if (workload == nullptr) return fail(ErrorKind::kNotFound, "the cgroup is not armed");
  std::uint64_t lost = 0;
  for (const auto& table : state_->tables) lost += table->log ? table->log->lost() : 0;
  Counters counters;
  counters.by_reason = workload->by_reason;
  const std::uint64_t limited = workload->refused - std::min(workload->refused, workload->events);
  counters.counters = {{"learned", workload->learned},
                       {"refreshed", workload->refreshed},
                       {"events", workload->events},
                       {"events_limited", limited},
                       {"events_lost", lost},
                       {"allowed_by_audit", workload->by_audit},
                       {"refused_packets", workload->refused}};
  return counters;
}

}  // namespace namewall::nft
