#include "agent/refusal_tally.h"

#include <netinet/in.h>

namespace namewall::agent {
namespace {

// Connects, sends and packets to one place are one thing to a reader; a question is another.
Hook folded(Hook hook) { return hook == Hook::kSend || hook == Hook::kPacket ? Hook::kConnect : hook; }

// The peer's port of an inbound packet is its own business; the resolver's says nothing of the question.
bool has_target_port(Hook hook) { return hook == Hook::kConnect || hook == Hook::kBind || hook == Hook::kInbound; }

}  // namespace

bool is_quic_attempt(const Event& event, const PolicyImage& image) {
  if (event.ip_protocol != IPPROTO_UDP || event.port != Port{443}) return false;
  if (folded(event.hook) != Hook::kConnect) return false;
  if (event.reason != NW_REASON_PORT && event.reason != NW_REASON_NOT_LOOKED_UP) return false;
  const PortMask https = image.mask_of(Protocol::kTcp, Port{443});
  if (!event.name.empty()) {
    const auto name = DomainName::parse(event.name);
    if (name && (decide_name(image, *name).allow & https) != 0) return true;
  }
  const AddressDecision address = decide_address(image, event.address);
  return (address.allow & ~(address.deny | address.host_deny) & https) != 0;
}

bool is_own_doing(const Event& event) { return event.hook != Hook::kAnswer && event.hook != Hook::kInbound; }

RefusalTally::Key RefusalTally::key_of(const Event& event, bool quic) {
  const Hook hook = folded(event.hook);
  const bool by_address = event.name.empty() && hook != Hook::kSocket && hook != Hook::kQuestion;
  const bool by_port = has_target_port(hook);
  return {by_address ? event.address.to_string() : event.name,
          hook,
          by_port || hook == Hook::kSocket ? event.ip_protocol : std::uint8_t{0},
          by_port ? event.port.number : std::uint16_t{0},
          quic ? NW_REASON_PORT : event.reason,
          event.audit};
}

RefusalTally::Added RefusalTally::add(const Event& event, bool quic) {
  left_out_ += event.left_out;
  Key key = key_of(event, quic);
  if (const auto found = index_.find(key); found != index_.end()) {
    ++entries_[found->second].count;
    return Added::kRepeated;
  }
  if (entries_.size() >= kMaxEntries) {
    ++beyond_bound_;
    return Added::kBeyondBound;
  }
  index_.emplace(std::move(key), entries_.size());
  entries_.push_back({event, 1, quic});
  entries_.back().first.packet = {};
  return Added::kNew;
}

std::uint64_t RefusalTally::total() const {
  std::uint64_t sum = beyond_bound_;
  for (const Refusal& entry : entries_) sum += entry.quic ? 0 : entry.count;
  return sum;
}

std::size_t RefusalTally::targets() const {
  std::size_t sum = 0;
  for (const Refusal& entry : entries_) sum += entry.quic ? 0 : 1;
  return sum;
}

std::uint64_t RefusalTally::quic_total() const {
  std::uint64_t sum = 0;
  for (const Refusal& entry : entries_) sum += entry.quic ? entry.count : 0;
  return sum;
}

}  // namespace namewall::agent
