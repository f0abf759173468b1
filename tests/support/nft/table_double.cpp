#include "tests/support/nft/table_double.h"

#include <algorithm>

#include "tests/support/dns_builder.h"

namespace namewall::testing {
namespace {

using nft::Bytes;
using nft::Element;
using nft::EndpointKey;
using nft::SetId;

EndpointKey key_of(const Destination& to) { return nft::endpoint_key(0, to.address, to.protocol, to.port); }

bool covers(const Element& element, const EndpointKey& key) {
  const auto first = nft::decode_endpoint(element.key), last = nft::decode_endpoint(element.key_end);
  return first && last && first->address.is_v4() == key.address.is_v4() && first->address <= key.address &&
         key.address <= last->address && first->ip_protocol == key.ip_protocol && first->port <= key.port &&
         key.port <= last->port;
}

}  // namespace

TableDouble::TableDouble(const PolicyImage& image, nft::ImageElements elements)
    : image_(image), elements_(std::move(elements)) {}

Result<TableDouble> TableDouble::make(const PolicyImage& image) {
  auto elements = nft::build_image_elements(image);
  if (!elements) return tl::unexpected<Error>(std::move(elements.error()));
  return TableDouble(image, *std::move(elements));
}

void TableDouble::update(const Address& address, const std::vector<Grant>& grants, BootTime now) {
  auto changes =
      nft::changes_between(held_[address], nft::build_grant_parts(image_, elements_, address, grants, now), now);
  due_.erase(address);
  if (changes.due != kNever) due_.emplace(address, changes.due);
  if (changes.after.empty())
    held_.erase(address);
  else
    held_[address] = std::move(changes.after);
}

void TableDouble::advance(const GrantTable& grants, BootTime now) {
  for (;;) {
    const auto next =
        std::min_element(due_.begin(), due_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (next == due_.end() || next->second > now) return;
    const auto [address, when] = *next;
    update(address, grants.find(address, when), when);
    if (const auto again = due_.find(address); again != due_.end() && again->second <= when) due_.erase(again);
  }
}

bool TableDouble::has(SetId set, const Bytes& key) const {
  return std::any_of(elements_.fixed.begin(), elements_.fixed.end(),
                     [&](const Element& element) { return element.set == set && element.key == key; });
}

int TableDouble::fixed_ranges_at(const Destination& to) const { return ranges_at(to, SetId::kFixed4, SetId::kFixed6); }

bool TableDouble::is_closed(const Destination& to) const { return ranges_at(to, SetId::kClosed4, SetId::kClosed6) > 0; }

int TableDouble::ranges_at(const Destination& to, SetId of_ipv4, SetId of_ipv6) const {
  const EndpointKey key = key_of(to);
  return static_cast<int>(std::count_if(elements_.fixed.begin(), elements_.fixed.end(), [&](const Element& element) {
    return (element.set == of_ipv4 || element.set == of_ipv6) && covers(element, key);
  }));
}

bool TableDouble::is_learned(const Destination& to, BootTime now) const {
  const auto found = held_.find(to.address);
  if (found == held_.end()) return false;
  const EndpointKey key = key_of(to);
  for (const nft::HeldPart& held : found->second) {
    if (held.part.deadline <= now) continue;
    const Element element = nft::to_element(0, to.address, held.part, held.set_at);
    if (element.set == SetId::kLearned4 || element.set == SetId::kLearned6) {
      if (element.key == nft::encode(key)) return true;
      continue;
    }
    if (element.key != nft::encode_address(0, key.address, key.ip_protocol)) continue;
    const int first = static_cast<int>(to.address.is_v4() ? SetId::kWide1_4 : SetId::kWide1_6);
    const auto ports = static_cast<SetId>(static_cast<int>(SetId::kWidePorts1) + static_cast<int>(element.set) - first);
    const Bytes wanted = nft::encode_port(0, key.ip_protocol, key.port);
    for (const Element& range : elements_.fixed) {
      if (range.set == ports && range.key <= wanted && wanted <= range.key_end) return true;
    }
  }
  return false;
}

bool TableDouble::allows(const Destination& to, LoopbackListener listener, BootTime now) const {
  const Bytes key = nft::encode(key_of(to));
  if (fixed_ranges_at(to) > 0 || is_learned(to, now)) return true;
  if (has(SetId::kResolvers4, key) || has(SetId::kResolvers6, key)) return true;
  if (!is_loopback_destination(to.address) || is_closed(to)) return false;
  const Bytes cgroup = nft::encode_cgroup(0);
  return has(SetId::kLoopbackAny, cgroup) || (has(SetId::kLoopbackOwn, cgroup) && listener == LoopbackListener::kOwn);
}

}  // namespace namewall::testing
