#include "nft/workload_model.h"

#include <algorithm>
#include <tuple>

#include "policy/special_use.h"

namespace namewall::nft {
namespace {

template <typename T>
void move_behind(std::vector<T>& to, std::vector<T>&& from) {
  if (to.empty()) {
    to = std::move(from);
  } else {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  }
}

Element make_element(SetId set, Bytes key, Bytes data = {}, std::string comment = {}) {
  Element element;
  element.set = set;
  element.key = std::move(key);
  element.data = std::move(data);
  element.comment = std::move(comment);
  return element;
}

std::uint32_t mark_of(AskerToken token) { return std::uint32_t{token} << kTokenShift; }

bool is_same(const Element& a, const Element& b) {
  return a.data == b.data && a.comment == b.comment && a.timeout == b.timeout;
}

bool is_before(const Element* a, const Element* b) {
  return std::tie(a->set, a->key, a->key_end) < std::tie(b->set, b->key, b->key_end);
}

std::vector<const Element*> sorted(const std::vector<Element>& elements) {
  std::vector<const Element*> order;
  order.reserve(elements.size());
  for (const Element& element : elements) order.push_back(&element);
  std::sort(order.begin(), order.end(), is_before);
  return order;
}

}  // namespace

ElementChanges& ElementChanges::operator+=(ElementChanges&& other) {
  move_behind(remove, std::move(other.remove));
  move_behind(destroy, std::move(other.destroy));
  move_behind(add, std::move(other.add));
  move_behind(renew, std::move(other.renew));
  move_behind(replace, std::move(other.replace));
  return *this;
}

std::vector<Element> WorkloadModel::fixed_elements() const {
  const std::string tag = to_comment(WorkloadTag{workload_id, generation, image_hash, is_template, cgroup});
  if (is_template) return {make_element(SetId::kParents, encode_cgroup(cgroup_id), {}, tag)};
  std::vector<Element> all;
  if (!is_denied && image) {
    all.reserve(elements->fixed.size() + 3);
    for (const Element& element : elements->fixed) all.push_back(with_cgroup(element, cgroup_id));
  } else if (!is_denied) {
    all = adopted;
  }
  if (token != 0) all.push_back(make_element(SetId::kTokens, encode_cgroup(cgroup_id), encode_mark(mark_of(token))));
  all.push_back(make_element(SetId::kEnforced, encode_cgroup(cgroup_id), {}, tag));
  return all;
}

PartChanges WorkloadModel::changes_at(const Address& address, BootTime now) const {
  static const std::vector<HeldPart> kNone;
  const auto has = held.find(address);
  std::vector<CommentedPart> wanted;
  if (image && !is_denied) wanted = build_grant_parts(*image, *elements, address, grants.find(address, now), now);
  return changes_between(has == held.end() ? kNone : has->second.parts, std::move(wanted), now);
}

bool WorkloadModel::has_wide(const Address& address, std::uint8_t ip_protocol) const {
  const auto at = held.find(address);
  return at != held.end() && std::any_of(at->second.parts.begin(), at->second.parts.end(), [&](const HeldPart& one) {
           return one.part.ip_protocol == ip_protocol && one.part.set >= SetId::kWide1_4 &&
                  one.part.set <= SetId::kWide4_6;
         });
}

std::string WorkloadModel::comment_of(const Address& address, const GrantPart& part, BootTime now) const {
  const std::vector<Grant> found = grants.find(address, now);
  if (!image) return found.empty() ? std::string() : to_comment(GrantComment{found.front().name.text(), 0, {}});
  for (CommentedPart& made : build_grant_parts(*image, *elements, address, found, now)) {
    if (made.part.set == part.set && made.part.ip_protocol == part.ip_protocol && made.part.port == part.port)
      return std::move(made.comment);
  }
  return {};
}

std::size_t WorkloadModel::forget_held(BootTime then) {
  return std::erase_if(held, [&](const auto& entry) {
    return std::all_of(entry.second.parts.begin(), entry.second.parts.end(),
                       [&](const HeldPart& part) { return part.part.deadline < then; });
  });
}

void WorkloadModel::widen_grants(std::uint32_t addresses) {
  if (addresses <= max_addresses) return;
  GrantTable wider(addresses);
  // Before any deadline: what has expired is remembered, too.
  (void)wider.learn(grants.all(), BootTime{});
  grants = std::move(wider);
  max_addresses = addresses;
}

ArmedCgroup WorkloadModel::describe() const {
  ArmedCgroup armed;
  armed.cgroup_id = cgroup_id;
  armed.cgroup = cgroup;
  armed.workload_id = workload_id;
  armed.generation = generation;
  armed.is_strict = is_strict;
  armed.is_template = is_template;
  armed.is_child = template_id != 0;
  armed.has_own_policy = template_id != 0 && has_own_policy;
  armed.template_id = template_id;
  armed.is_known = image != nullptr;
  armed.image_hash = image_hash;
  return armed;
}

std::optional<Element> own_pair_element(const WorkloadModel& sender, const std::vector<WorkloadModel*>& above) {
  const auto is_own = [](const WorkloadModel& level) {
    if (level.image) return level.image->loopback == Loopback::kOwn;
    return std::any_of(level.adopted.begin(), level.adopted.end(),
                       [](const Element& element) { return element.set == SetId::kLoopbackOwn; });
  };
  const WorkloadModel* level = is_own(sender) ? &sender : nullptr;
  for (auto at = above.begin(); level == nullptr && at != above.end(); ++at) {
    if (is_own(**at)) level = *at;
  }
  if (level == nullptr || sender.token == 0) return std::nullopt;
  return make_element(SetId::kOwnPairs, encode_own_pair(mark_of(sender.token), level->cgroup_id));
}

std::vector<Grant> grants_of(const Lesson& lesson, const WorkloadModel& workload) {
  const bool is_of_image = lesson.image_hash == 0 || lesson.image_hash == workload.image_hash;
  const NameDecision decision = is_of_image ? lesson.decision : decide_name(*workload.image, lesson.name);
  std::vector<Grant> grants = lesson.grants;
  for (Grant& grant : grants) {
    if (grant.note != NW_REASON_NONE) continue;
    const bool is_private = classify_address(grant.address, !grant.address.is_v4()) == SpecialUse::kPrivate;
    grant.ports = (is_private ? decision.allow_private : decision.allow) & kAllPorts;
  }
  return grants;
}

std::vector<Address> addresses_of(const Lesson& lesson, const WorkloadModel& workload, BootTime now) {
  std::vector<Address> addresses;
  for (const Grant& grant : lesson.grants) addresses.push_back(grant.address);
  if (lesson.replaces_family != 0) {
    for (const auto& [address, held] : workload.held) {
      if (address.is_v4() != (lesson.replaces_family == 4)) continue;
      const std::vector<Grant> found = workload.grants.find(address, now);
      const auto is_of_name = [&](const Grant& grant) { return grant.name == lesson.name && grant.is_live(now); };
      if (std::any_of(found.begin(), found.end(), is_of_name)) addresses.push_back(address);
    }
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

void append(const WorkloadModel& workload, const Address& address, const PartChanges& parts, BootTime now,
            ElementChanges& changes) {
  const auto add = [&](std::vector<Element>& to, const std::vector<CommentedPart>& from) {
    for (const CommentedPart& part : from) to.push_back(to_element(workload.cgroup_id, address, part, now));
  };
  for (const GrantPart& part : parts.remove)
    changes.destroy.push_back(to_element(workload.cgroup_id, address, part, now));
  add(changes.add, parts.add);
  add(changes.renew, parts.renew);
  add(changes.replace, parts.replace);
}

ElementChanges between(const std::vector<Element>& before, const std::vector<Element>& after) {
  ElementChanges changes;
  const auto old = sorted(before), wanted = sorted(after);
  auto has = old.begin();
  for (const Element* element : wanted) {
    for (; has != old.end() && is_before(*has, element); ++has) changes.remove.push_back(**has);
    if (has == old.end() || is_before(element, *has)) {
      changes.add.push_back(*element);
      continue;
    }
    if (!is_same(**has, *element)) {
      changes.remove.push_back(**has);
      changes.add.push_back(*element);
    }
    ++has;
  }
  for (; has != old.end(); ++has) changes.remove.push_back(**has);
  return changes;
}

}  // namespace namewall::nft
