// HostEnforcer: arming, replacing, lifting.
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <set>

#include "nft/cgroup_paths.h"
#include "nft/conntrack.h"
#include "nft/host_state.h"
#include "policy/image_hash.h"
#include "policy/verdict.h"

namespace namewall::nft {
namespace {

// What a replacement may have to take back.
struct Former {
  WorkloadModel* workload;
  std::shared_ptr<const PolicyImage> image;
  std::shared_ptr<const ImageElements> elements;
  std::uint64_t image_hash;
  std::uint32_t generation;
  bool is_denied, is_strict;

  explicit Former(WorkloadModel& of)
      : workload(&of),
        image(of.image),
        elements(of.elements),
        image_hash(of.image_hash),
        generation(of.generation),
        is_denied(of.is_denied),
        is_strict(of.is_strict) {}
  void restore() const {
    workload->image = image;
    workload->elements = elements;
    workload->image_hash = image_hash;
    workload->generation = generation;
    workload->is_denied = is_denied;
    workload->is_strict = is_strict;
    if (image) workload->grants.rejudge(*image);
  }
};

constexpr std::array kKernelMade = {SetId::kFlows4, SetId::kFlows6,  SetId::kAsked4,
                                    SetId::kAsked6, SetId::kServed4, SetId::kServed6};

Destination destination_of(const EndpointKey& key) {
  const Protocol protocol = key.ip_protocol == IPPROTO_TCP   ? Protocol::kTcp
                            : key.ip_protocol == IPPROTO_UDP ? Protocol::kUdp
                                                             : Protocol::kIcmp;
  return {protocol, key.address, Port{protocol == Protocol::kIcmp ? std::uint16_t{0} : key.port}};
}

}  // namespace

std::vector<Result<ArmedCgroup>> HostEnforcer::State::arm(const std::vector<ArmRequest>& requests) {
  std::vector<Result<ArmedCgroup>> results(requests.size(), fail(ErrorKind::kNotFound, "the cgroup is not armed"));
  std::vector<std::pair<std::size_t, std::uint64_t>> entered;
  std::vector<std::unique_ptr<WorkloadModel>> made;
  std::set<std::uint64_t> asked;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto id = cgroup_id_of(requests[i].cgroup_fd);
    if (!id) {
      results[i] = tl::unexpected(id.error());
      continue;
    }
    if (!asked.insert(*id).second) {
      results[i] = fail(ErrorKind::kConflict, "the cgroup is asked for twice");
      continue;
    }
    if (WorkloadModel* known = find(*id)) {
      if (known->template_id == 0 || known->has_own_policy) {
        results[i] = fail(ErrorKind::kConflict, "the cgroup is armed already");
        continue;
      }
      known->has_own_policy = true;
      const auto done = take_image(*known, requests[i].image, requests[i].options.strict);
      if (done) {
        results[i] = known->describe();
      } else {
        known->has_own_policy = false;
        results[i] = tl::unexpected(done.error());
      }
      continue;
    }
    auto workload = model_of(*id, requests[i], made.size());
    if (!workload) {
      results[i] = tl::unexpected(workload.error());
      continue;
    }
    entered.emplace_back(i, *id);
    made.push_back(std::move(*workload));
  }
  const auto done = install(std::move(made));
  for (const auto& [request, id] : entered) {
    if (done) {
      results[request] = find(id)->describe();
    } else if (entered.size() == 1) {
      results[request] = tl::unexpected(done.error());
    } else {
      results[request] = std::move(arm({requests[request]}).front());  // one of them is the culprit
    }
  }
  return results;
}

Result<std::unique_ptr<WorkloadModel>> HostEnforcer::State::model_of(std::uint64_t cgroup_id, const ArmRequest& request,
                                                                     std::size_t waiting) {
  if (!request.image) return fail(ErrorKind::kInvalid, "a workload needs a policy");
  if (workloads.size() + waiting >= options.max_workloads)
    return fail(ErrorKind::kLimit, "more than " + std::to_string(options.max_workloads) + " workloads");
  const std::string path = request.cgroup.empty() ? path_of_cgroup(cgroup_mount, request.cgroup_fd) : request.cgroup;
  if (path.empty()) return fail(ErrorKind::kInvalid, "the cgroup's path is not known");
  const bool is_template = request.options.children == Children::kApart;
  if (path == "/" && !is_template) return fail(ErrorKind::kUnsupported, "nftables cannot match the root cgroup");

  auto workload = std::make_unique<WorkloadModel>(request.image->max_addresses);
  workload->cgroup_id = cgroup_id;
  workload->cgroup = path;
  workload->depth = depth_of(path);
  workload->workload_id = next_workload_id++;
  workload->generation = 1;
  workload->image = request.image;
  workload->image_hash = hash_of(*request.image);
  workload->is_template = is_template;
  workload->is_strict = request.options.strict;
  auto elements = elements_of(*request.image, workload->image_hash);
  if (!elements) return tl::unexpected(elements.error());
  workload->elements = std::move(*elements);
  return workload;
}

// The memberships, tokens and templates of workloads that are entered together depend on one another.
Result<void> HostEnforcer::State::install(std::vector<std::unique_ptr<WorkloadModel>> made) {
  if (made.empty()) return {};
  std::vector<WorkloadModel*> changed;
  std::set<WorkloadModel*> touched;
  Result<void> done;
  for (auto& workload : made) {
    if (!workload->is_template) {
      const auto token = free_token();
      if (!token) {
        done = tl::unexpected(token.error());
        break;
      }
      workload->token = *token;
    }
    if (const WorkloadModel* of = template_of(workload->cgroup)) workload->template_id = of->cgroup_id;
    changed.push_back(&enter(std::move(workload)));
  }
  for (WorkloadModel* workload : changed) {
    const std::vector<WorkloadModel*> levels = above(workload->cgroup);
    const std::vector<WorkloadModel*> nested =
        workload->is_template ? std::vector<WorkloadModel*>() : below(workload->cgroup);
    touched.insert(nested.begin(), nested.end());  // whose loopback it may narrow
    for (std::size_t i = 1; i < tables.size(); ++i) {
      std::set<std::uint64_t>& members = tables[i]->members;
      const auto is_in = [&](const WorkloadModel* other) { return members.contains(other->cgroup_id); };
      if (std::any_of(levels.begin(), levels.end(), is_in)) members.insert(workload->cgroup_id);
      if (members.empty() || members.contains(workload->cgroup_id)) continue;
      if (std::any_of(nested.begin(), nested.end(), is_in)) members.insert(workload->cgroup_id);
    }
  }
  for (WorkloadModel* workload : changed) touched.erase(workload);
  if (done) done = update(changed, {touched.begin(), touched.end()});
  if (!done) {
    for (const WorkloadModel* workload : changed) erase(workload->cgroup_id);
    return done;
  }
  redirect_old_questions(changed);
  return {};
}

Result<void> HostEnforcer::State::update(const std::vector<WorkloadModel*>& changed,
                                         const std::vector<WorkloadModel*>& touched) {
  struct Next {
    WorkloadModel* workload;
    std::vector<Element> fixed;
    std::vector<std::pair<Address, PartChanges>> learned;
  };
  const BootTime now = boot_now();
  ElementChanges changes;
  std::vector<Next> next;
  const auto add_fixed = [&](WorkloadModel* workload) {
    next.push_back({workload, wanted_fixed(*workload), {}});
    changes += between(workload->installed, next.back().fixed);
  };
  for (WorkloadModel* workload : touched) add_fixed(workload);
  for (WorkloadModel* workload : changed) {
    add_fixed(workload);
    std::set<Address> addresses;
    for (const auto& [address, held] : workload->held) addresses.insert(address);
    for (const Grant& grant : workload->grants.all()) addresses.insert(grant.address);
    for (const Address& address : addresses) {
      PartChanges parts = workload->changes_at(address, now);
      append(*workload, address, parts, now, changes);
      next.back().learned.emplace_back(address, std::move(parts));
    }
  }
  if (auto done = apply(changes); !done) return done;
  for (Next& one : next) {
    one.workload->installed = std::move(one.fixed);
    for (auto& [address, parts] : one.learned) settle(*one.workload, address, std::move(parts));
  }
  return {};
}

std::vector<WorkloadModel*> HostEnforcer::State::nested_in(const std::vector<WorkloadModel*>& changed) {
  std::vector<WorkloadModel*> all;
  for (const WorkloadModel* workload : changed) {
    for (WorkloadModel* nested : below(workload->cgroup)) {
      if (std::find(changed.begin(), changed.end(), nested) == changed.end()) all.push_back(nested);
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Result<void> HostEnforcer::State::take_image(WorkloadModel& workload, const std::shared_ptr<const PolicyImage>& image,
                                             bool strict) {
  const std::uint64_t hash = hash_of(*image);
  auto elements = elements_of(*image, hash);
  if (!elements) return tl::unexpected(elements.error());
  std::vector<WorkloadModel*> changed{&workload};
  if (workload.is_template) {
    for (WorkloadModel* child : children_of(workload)) {
      if (!child->has_own_policy) changed.push_back(child);
    }
  }
  std::vector<Former> former;
  for (WorkloadModel* one : changed) {
    former.emplace_back(*one);
    one->image = image;
    one->elements = *elements;
    one->image_hash = hash;
    one->is_denied = false;
    one->is_strict = strict;
    ++one->generation;
    one->widen_grants(image->max_addresses);
    one->grants.rejudge(*image);
  }
  if (auto done = update(changed, nested_in(changed)); !done) {
    for (const Former& before : former) before.restore();
    return done;
  }
  for (const Former& before : former) {
    WorkloadModel& one = *before.workload;
    one.adopted.clear();
    if (!strict || !before.image) continue;
    // Flows to what the former policy allowed and this one does not.
    GrantTable had = one.grants;
    had.rejudge(*before.image);
    const BootTime now = boot_now();
    forget_flows(one, [&](SetId set, const EndpointKey& key) {
      const Destination to = destination_of(key);
      if (set == SetId::kServed4 || set == SetId::kServed6)
        return (one.image->mask_of(to.protocol, to.port) & one.image->listen) == 0;
      if (key.port == 0) return !one.has_wide(key.address, key.ip_protocol);
      return !judge(*one.image, one.grants, to, now).allowed && judge(*before.image, had, to, now).allowed;
    });
  }
  redirect_old_questions(changed);
  return {};
}

Result<void> HostEnforcer::State::recognise(WorkloadModel& workload, const std::shared_ptr<const PolicyImage>& image) {
  auto elements = elements_of(*image, workload.image_hash);
  if (!elements) return tl::unexpected(elements.error());
  const Former former(workload);
  workload.image = image;
  workload.elements = std::move(*elements);
  workload.widen_grants(image->max_addresses);
  workload.grants.rejudge(*image);
  if (auto done = update({&workload}, nested_in({&workload})); !done) {
    former.restore();
    return done;
  }
  workload.adopted.clear();
  return {};
}

Result<void> HostEnforcer::State::lift(const std::vector<WorkloadModel*>& lifted) {
  const BootTime now = boot_now();
  ElementChanges changes;
  for (WorkloadModel* workload : lifted) {
    changes.remove.insert(changes.remove.end(), workload->installed.begin(), workload->installed.end());
    if (abilities.has_destroy) {
      Element counter;
      counter.set = SetId::kRefused;
      counter.key = encode_cgroup(workload->cgroup_id);
      changes.destroy.push_back(std::move(counter));
    }
    for (const auto& [address, held] : workload->held) {
      for (const HeldPart& part : held.parts) {
        if (part.part.deadline > now)
          changes.destroy.push_back(to_element(workload->cgroup_id, address, part.part, now));
      }
    }
  }
  // Where a guard is, too, it keeps its element.
  for (const WorkloadModel* workload : lifted) {
    if (const auto guard = guards.find(workload->cgroup_id); workload->is_template && guard != guards.end())
      changes.add.push_back(guard_element(guard->first, guard->second));
  }
  if (auto done = apply(changes); !done) return done;
  const std::vector<WorkloadModel*> nested = nested_in(lifted);
  for (const WorkloadModel* workload : lifted) erase(workload->cgroup_id);
  return nested.empty() ? Result<void>{} : update({}, nested);  // whose loopback it narrowed
}

// nft cannot hold a child that nobody told it of to its template's policy: until this finds it, it is refused
// everything by `parents`.
void HostEnforcer::State::meet_children() {
  std::vector<std::unique_ptr<WorkloadModel>> made;
  std::vector<WorkloadModel*> gone;
  for (const auto& [id, workload] : workloads) {
    if (!workload->is_template || !workload->image) continue;
    std::set<std::uint64_t> existing;
    for (const auto& [path, child] : child_cgroups(cgroup_mount, workload->cgroup)) {
      existing.insert(child);
      if (workloads.contains(child)) continue;
      ArmRequest request;
      request.cgroup = path;
      request.image = workload->image;
      request.options.strict = true;
      auto model = model_of(child, request, made.size());
      if (!model) continue;
      (*model)->has_own_policy = false;
      made.push_back(std::move(*model));
    }
    for (WorkloadModel* child : children_of(*workload)) {
      if (!child->has_own_policy && !existing.contains(child->cgroup_id)) gone.push_back(child);
    }
  }
  if (!gone.empty()) (void)lift(gone);
  (void)install(std::move(made));
}

void HostEnforcer::State::forget_flows(const WorkloadModel& workload,
                                       const std::function<bool(SetId, const EndpointKey&)>& is_over) {
  for (const auto& table : tables) {
    if (!table->is_made() || !is_member(*table, workload)) continue;
    ElementChanges changes;
    for (const SetId set : kKernelMade) {
      (void)list_elements(
          table->socket(), set,
          [&](const Element& element) {
            const auto key = decode_endpoint(element.key);
            if (!key || key->cgroup_id != workload.cgroup_id || !is_over(set, *key)) return;
            Element flow;
            flow.set = set;
            flow.key = element.key;
            changes.destroy.push_back(std::move(flow));
          },
          table->name());
    }
    if (!changes.empty()) (void)table->change(changes, table->plan());
  }
}

void HostEnforcer::State::redirect_old_questions(const std::vector<WorkloadModel*>& changed) {
  std::set<ResolverAddress> resolvers;
  for (const WorkloadModel* workload : changed) {
    // Others have no socket that is older than their policy. Looking costs as much as there are tracked connections.
    if (!workload->image || !workload->is_strict) continue;
    resolvers.insert(workload->image->resolvers.begin(), workload->image->resolvers.end());
  }
  if (resolvers.empty()) return;
  const std::vector<ResolverAddress> list(resolvers.begin(), resolvers.end());
  for (const auto& table : tables) {
    if (!table->is_made() || !table->plan().redirects_dns || !table->conntrack) continue;
    forget_old_questions(*table, list);
  }
}

}  // namespace namewall::nft
