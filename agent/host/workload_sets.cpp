#include "agent/host/workload_sets.h"

#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "policy/canonical_form.h"
#include "policy/policy_image.h"

namespace namewall::agent {
namespace {

std::int64_t milliseconds(Nanoseconds duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

std::int64_t ago(const std::optional<BootTime>& time, BootTime now) {
  return time ? std::max<std::int64_t>(0, milliseconds(now - *time)) : kUnknownTime;
}

std::string port_text(const nft::GrantPart& part, const PolicyImage& image, const nft::ImageElements& elements) {
  if (part.ip_protocol == IPPROTO_ICMP || part.ip_protocol == IPPROTO_ICMPV6) return "icmp";
  const Protocol protocol = part.ip_protocol == IPPROTO_TCP ? Protocol::kTcp : Protocol::kUdp;
  if (part.set == nft::SetId::kLearned4 || part.set == nft::SetId::kLearned6)
    return to_string(protocol) + "/" + std::to_string(part.port);
  const auto number = static_cast<std::size_t>(part.set);
  const auto first =
      static_cast<std::size_t>(part.set >= nft::SetId::kWide1_6 ? nft::SetId::kWide1_6 : nft::SetId::kWide1_4);
  const std::size_t index = number - first;
  const PortMask mask = index < elements.wide.size() ? elements.wide[index] : 0;
  return "wide " + to_string(protocol) + "/" + image.ports_of(mask).list_of(protocol);
}

// Numbers for texts, in the order in which they come.
template <typename Key, typename Make>
std::uint32_t number_of(std::map<Key, std::uint32_t>& numbers, const Key& key, const Make& make) {
  const auto [found, is_new] = numbers.try_emplace(key, static_cast<std::uint32_t>(numbers.size()));
  if (is_new) make();
  return found->second;
}

// Addresses that rules or resolvers speak of have ports of their own; all others have those of their name.
bool is_special(const PolicyImage& image, const Address& address) {
  return !image.addresses.empty() ||
         std::any_of(image.resolvers.begin(), image.resolvers.end(),
                     [&](const ResolverAddress& resolver) { return resolver.address == address; });
}

}  // namespace

void SetsBuilder::use(const std::shared_ptr<const PolicyImage>& image) {
  if (image == image_) return;
  image_ = image;
  has_elements_ = false;
  if (image == nullptr || image->backend != Backend::kNft) return;
  if (auto built = nft::build_image_elements(*image)) {
    elements_ = *std::move(built);
    has_elements_ = true;
  }
}

WorkloadSets SetsBuilder::build(const Workload& workload, const std::vector<GrantRecord>& records, BootTime now) {
  WorkloadSets sets;
  SetsWorkload& told = sets.workload;
  told.workload = workload.name;
  told.cgroup = workload.cgroup;
  told.cgroup_id = workload.cgroup_id;
  told.as_of_ns = now.since_boot.count();
  use(workload.policy ? workload.policy->image() : nullptr);
  if (image_ != nullptr) {
    told.backend = image_->backend == Backend::kNft ? "nft" : "bpf";
    told.mode = namewall::word_of(image_->mode);
  }
  std::map<std::string, std::uint32_t> rules;
  std::map<std::vector<std::string>, std::uint32_t> ports;
  std::map<PortMask, std::uint32_t> ports_of_masks[2];  // of addresses that nothing else speaks of, by family
  for (const GrantRecord& record : records) {
    if (!record.grant.is_live(now) || (record.current_ports & kAllPorts) == 0) continue;
    SetsGrant grant{
        .name = record.grant.name.text(),
        .address = record.grant.address,
        .ports = 0,
        .rule = -1,
        .left_ms = record.grant.deadline == kNever ? kUnknownTime : milliseconds(record.grant.deadline - now),
        .learned_ms_ago = ago(record.learned, now),
        .renewed_ms_ago = ago(record.renewed, now),
        .hits = told.backend == "nft" ? -1 : static_cast<std::int64_t>(record.hits)};
    if (image_ != nullptr) {
      std::string rule = nft::describe_rule(*image_, record.grant.name);
      if (!rule.empty())
        grant.rule = static_cast<std::int32_t>(number_of(rules, rule, [&] { told.rules.push_back(rule); }));
    }
    if (has_elements_) {
      const bool is_plain = !is_special(*image_, record.grant.address);
      auto& by_mask = ports_of_masks[record.grant.address.is_v4() ? 0 : 1];
      const auto known = is_plain ? by_mask.find(record.current_ports) : by_mask.end();
      if (known != by_mask.end()) {
        grant.ports = known->second;
      } else {
        Grant alone = record.grant;
        alone.ports = record.current_ports;
        std::vector<std::string> texts;
        for (const auto& part : nft::build_grant_parts(*image_, elements_, alone.address, {alone}, now))
          texts.push_back(port_text(part.part, *image_, elements_));
        grant.ports = number_of(ports, texts, [&] { told.ports.push_back(texts); });
        if (is_plain) by_mask.emplace(record.current_ports, grant.ports);
      }
    }
    sets.grants.push_back(std::move(grant));
  }
  return sets;
}

}  // namespace namewall::agent
