// HostEnforcer: from the model to the tables.
#include <algorithm>
#include <cerrno>

#include "nft/cgroup_paths.h"
#include "nft/host_state.h"

namespace namewall::nft {
namespace {

// So many elements in one transaction, where they need not come together: some megabytes.
constexpr std::size_t kElementsAtOnce = 20000;

// The change is refused for what it is: the table is as it was.
bool is_of_change(const Error& error) {
  return error.kind == ErrorKind::kLimit || error.kind == ErrorKind::kPermission || error.error_number == ENOMEM;
}

}  // namespace

NamespaceTable* HostEnforcer::State::table_of(std::uint64_t cookie) {
  for (const auto& table : tables) {
    if (table->cookie() == cookie) return table.get();
  }
  return nullptr;
}

bool HostEnforcer::State::is_member(const NamespaceTable& table, const WorkloadModel& workload) const {
  return &table == tables.front().get() || workload.is_template || table.members.contains(workload.cgroup_id);
}

RulesetPlan HostEnforcer::State::plan_for(const NamespaceTable& table) const {
  RulesetPlan plan;
  plan.log_group = options.log_group;
  plan.parent_depths = parent_depths;
  if (&table == tables.front().get()) {
    plan.depths = depths;
  } else {
    plan.depths = table.plan().depths;
    for (const std::uint64_t id : table.members) {
      if (const auto member = workloads.find(id); member != workloads.end()) plan.depths.insert(member->second->depth);
    }
  }
  plan.redirects_dns = std::any_of(places.begin(), places.end(),
                                   [&](const ProxyPlace& place) { return place.netns_cookie == table.cookie(); });
  return plan;
}

Element place_element(const ProxyPlace& place) {
  Element element;
  const ResolverAddress& resolver = place.resolver;
  const EndpointKey key = endpoint_key(0, resolver.address, place.protocol, resolver.port);
  element.set = resolver.address.is_v4() ? SetId::kPlaces4 : SetId::kPlaces6;
  element.key = encode_place(key.address, key.ip_protocol, key.port);
  element.data = encode_port_data(place.port.number);
  return element;
}

std::vector<Element> HostEnforcer::State::place_elements(const NamespaceTable& table) const {
  std::vector<Element> elements;
  for (const ProxyPlace& place : places) {
    if (place.netns_cookie == table.cookie()) elements.push_back(place_element(place));
  }
  return elements;
}

std::vector<Element> HostEnforcer::State::all_fixed(const NamespaceTable& table) const {
  std::vector<Element> all = place_elements(table);
  for (const auto& [id, path] : guards) {
    const auto held = workloads.find(id);
    if (held == workloads.end() || !held->second->is_template) all.push_back(guard_element(id, path));
  }
  for (const auto& [id, workload] : workloads) {
    if (is_member(table, *workload)) all.insert(all.end(), workload->installed.begin(), workload->installed.end());
  }
  return all;
}

ElementChanges HostEnforcer::State::part_for(const NamespaceTable& table, const ElementChanges& changes) {
  const auto belongs = [&](const Element& element) {
    if (element.set == SetId::kParents) return true;
    const auto cgroup = decode_cgroup(element.set, element.key);
    return cgroup && table.members.contains(*cgroup);
  };
  ElementChanges part;
  for (auto list : {&ElementChanges::remove, &ElementChanges::destroy, &ElementChanges::add, &ElementChanges::renew,
                    &ElementChanges::replace}) {
    std::copy_if((changes.*list).begin(), (changes.*list).end(), std::back_inserter(part.*list), belongs);
  }
  return part;
}

Result<void> HostEnforcer::State::apply(ElementChanges& changes) {
  if (auto done = apply_to(own(), changes); !done) return done;
  for (std::size_t i = 1; i < tables.size(); ++i) {
    ElementChanges part = part_for(*tables[i], changes);
    if (!part.empty() && !apply_to(*tables[i], part)) tables[i]->needs_rebuild = true;
  }
  return {};
}

Result<void> HostEnforcer::State::apply_to(NamespaceTable& table, ElementChanges& changes) {
  if (auto made = ensure_made(table); !made) return made;
  const RulesetPlan plan = plan_for(table);
  const auto done = table.change(changes, plan);
  if (done || is_of_change(done.error())) return done;
  // Somebody changed the table, or the model is wrong about it: both are brought together, and it is tried again.
  if (auto restored = restore(table, done.error().message()); !restored) return restored;
  return table.change(changes, plan);
}

Result<void> HostEnforcer::State::ensure_made(NamespaceTable& table) {
  if (table.is_made()) return {};
  if (auto made = table.make(plan_for(table), all_fixed(table)); !made) return made;
  if (auto opened = open_log(table); !opened)
    noticed.push_back({"refusals are not reported: " + opened.error().message(), false});
  return send_learned(table);
}

Result<void> HostEnforcer::State::take_rules(NamespaceTable& table) {
  const auto adopted = table.adopt(plan_for(table));
  return adopted ? Result<void>{} : tl::unexpected(adopted.error());
}

Result<void> HostEnforcer::State::rebuild(NamespaceTable& table) {
  ++table.rebuilt;
  if (auto made = table.make(plan_for(table), all_fixed(table)); !made) return made;
  table.needs_rebuild = false;
  return send_learned(table);
}

Result<void> HostEnforcer::State::restore(NamespaceTable& table, const std::string& why) {
  const auto seen = table.inspect();
  if (!seen) return tl::unexpected(seen.error());
  std::string what = why;
  Result<void> done;
  if (seen->is_gone) {
    done = rebuild(table);
  } else {
    if (!seen->differences.empty()) done = take_rules(table);
    if (done) {
      const auto compared = compare(table, true);
      if (!compared) done = tl::unexpected(compared.error());
      if (compared && compared->unknown + compared->missing > 0) {
        noticed.push_back({std::to_string(compared->missing) + " elements of table inet " + table.name() +
                               " were missing and " + std::to_string(compared->unknown) + " unknown",
                           true});
      }
    }
  }
  for (const std::string& difference : seen->differences) noticed.push_back({difference, done.has_value()});
  if (seen->differences.empty()) noticed.push_back({"a change had to be made again: " + why, done.has_value()});
  return done;
}

Result<void> HostEnforcer::State::send_learned(NamespaceTable& table) {
  const BootTime now = boot_now();
  ElementChanges changes;
  const auto send = [&]() -> Result<void> {
    auto sent = table.change(changes, table.plan());
    changes = {};
    return sent;
  };
  for (const auto& [id, workload] : workloads) {
    if (!is_member(table, *workload)) continue;
    for (const auto& [address, held] : workload->held) {
      for (const HeldPart& held_part : held.parts) {
        if (held_part.part.deadline <= now) continue;
        changes.add.push_back(
            to_element(id, address, {held_part.part, workload->comment_of(address, held_part.part, now)}, now));
      }
      if (changes.add.size() < kElementsAtOnce) continue;
      if (auto sent = send(); !sent) return sent;
    }
  }
  return changes.empty() ? Result<void>{} : send();
}

}  // namespace namewall::nft
