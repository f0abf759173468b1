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

std::vector<Element> own_pair_elements(const WorkloadModel& receiver, const std::vector<const WorkloadModel*>& below) {
  std::vector<Element> pairs;
  const bool is_own = !receiver.is_denied && receiver.image && receiver.image->loopback == Loopback::kOwn;
  if (!is_own) return pairs;
  pairs.push_back(make_element(SetId::kOwnPairs, encode_own_pair(mark_of(receiver.token), receiver.cgroup_id)));
  for (const WorkloadModel* sender : below) {
    if (sender->token == 0) continue;
    pairs.push_back(make_element(SetId::kOwnPairs, encode_own_pair(mark_of(sender->token), receiver.cgroup_id)));
  }
  return pairs;
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
