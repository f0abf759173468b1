#include "bpf/layer.h"

#include <bpf/bpf.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "bpf/rule_entries.h"
#include "policy/image_hash.h"

namespace namewall::bpf {
namespace {

Result<std::uint64_t> random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) return fail_errno(errno, "cannot draw a seed");
  return seed;
}

bool is_child(const nw_workload& config) { return (config.flags & NW_FLAG_CHILD) != 0; }

tl::unexpected<Error> not_armed() { return fail(ErrorKind::kNotFound, "the cgroup is not armed"); }

}  // namespace

Result<std::unique_ptr<Layer>> Layer::load(const MapSizes& sizes, AskerTokens tokens) {
  auto objects = KernelObjects::load(sizes);
  if (!objects) return tl::unexpected(objects.error());
  std::unique_ptr<Layer> layer(new Layer(tokens));
  if (auto done = layer->use(std::move(*objects), sizes.max_workloads); !done) return tl::unexpected(done.error());
  return layer;
}

Result<void> Layer::use(KernelObjects objects, std::uint32_t slots) {
  objects_ = std::move(objects);
  auto attachment = Attachment::open(objects_);
  if (!attachment) return tl::unexpected(attachment.error());
  attachment_.emplace(std::move(*attachment));
  auto ids = BootIds::open(objects_.map("ids"));
  if (!ids) return tl::unexpected(ids.error());
  ids_.emplace(*ids);
  auto rules =
      RuleStore::open({objects_.map("name_rules"), objects_.map("glob_rules"), objects_.map("address_rules")}, &*ids_);
  if (!rules) return tl::unexpected(rules.error());
  rules_.emplace(std::move(*rules));
  auto ring = EventRing::open(objects_.map("events"));
  if (!ring) return tl::unexpected(ring.error());
  ring_.emplace(std::move(*ring));
  slots_.emplace(TableSlots::Maps{objects_.map("grants"), objects_.map("names"), objects_.map("stats")}, slots, pins_,
                 folder_ + "/tables");
  proxy_places_.emplace(objects_.map("proxy_ports"), objects_.map("proxy_resolvers"));
  auto askers = AskerBook::open(objects_.map("proxy_askers"), objects_.map("proxy_secret"));
  if (!askers) return tl::unexpected(askers.error());
  askers_.emplace(*askers);
  children_ = ChildRows(objects_.map("children"), objects_.map("spare_tables"));
  return {};
}

const ArmedWorkload* Layer::find(std::uint64_t cgroup_id) const {
  const auto found = armed_.find(cgroup_id);
  return found == armed_.end() ? nullptr : &found->second;
}

std::optional<nw_workload> Layer::find_config(std::uint64_t cgroup_id) const {
  if (const ArmedWorkload* armed = find(cgroup_id)) return armed->config;
  if (child_addresses_ == 0) return std::nullopt;
  return children_.find(cgroup_id);
}

// What is the workload's alone: ids, tables, seed.
Result<void> Layer::identify(std::uint32_t slot, nw_workload& config) {
  const WorkloadTables* tables = slots_->tables(slot);
  const auto id = ids_->next_workload_id();
  if (!id) return tl::unexpected(id.error());
  const auto seed = random_seed();
  if (!seed) return tl::unexpected(seed.error());
  config.workload_id = *id;
  config.slot = slot;
  config.seed = *seed;
  config.bucket_count = tables->bucket_count();
  config.token = tokens_.of(slot);
  return {};
}

// What the policy says, with a reference to its rules.
Result<void> Layer::describe(const ArmTarget& target, std::uint32_t former_policy, nw_workload& config) {
  if (target.trusted_netns.size() > NW_MAX_NETNS)
    return fail(ErrorKind::kLimit, "more than 4 trusted network namespaces");
  const auto policy = rules_->acquire(target.image, former_policy);
  if (!policy) return tl::unexpected(policy.error());
  describe_policy(*target.image, config);
  if (target.strict) config.flags |= NW_FLAG_STRICT;
  config.policy_id = policy->id;
  config.generation = policy->id;
  config.image_hash = policy->hash;
  config.cgroup_id = target.cgroup.id;
  config.cgroup_level = target.cgroup.level;
  std::fill(std::begin(config.trusted_netns), std::end(config.trusted_netns), 0);
  std::copy(target.trusted_netns.begin(), target.trusted_netns.end(), config.trusted_netns);
  return {};
}

std::vector<Result<nw_workload>> Layer::arm(const std::vector<ArmTarget>& targets) {
  std::vector<std::uint32_t> sizes;
  for (const ArmTarget& target : targets) sizes.push_back(target.image->max_addresses);
  const auto slots = slots_->take(sizes);
  std::vector<Result<nw_workload>> results;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!slots[i]) {
      results.emplace_back(tl::unexpected(slots[i].error()));
      continue;
    }
    results.push_back(arm_one(targets[i], *slots[i]));
    if (!results.back()) slots_->give_back(*slots[i]);
  }
  return results;
}

Result<nw_workload> Layer::arm_one(const ArmTarget& target, std::uint32_t slot) {
  if (find(target.cgroup.id) != nullptr) return fail(ErrorKind::kConflict, "the cgroup is armed already");
  nw_workload config{};
  if (auto done = identify(slot, config); !done) return tl::unexpected(done.error());
  if (auto done = describe(target, 0, config); !done) return tl::unexpected(done.error());
  if (target.is_template) config.flags |= NW_FLAG_TEMPLATE;
  if (auto done = attachment_->attach(target.cgroup_fd, config); !done) {
    rules_->release(config.policy_id);
    return tl::unexpected(done.error());
  }
  armed_.insert_or_assign(target.cgroup.id, ArmedWorkload{config, target.image});
  if (target.is_template) {
    child_addresses_ = std::max(child_addresses_, target.image->max_addresses);
    (void)offer_tables();  // without them the children share the template's
  }
  return config;
}

std::vector<Result<nw_workload>> Layer::arm_children(const std::vector<ArmTarget>& targets) {
  std::vector<std::optional<nw_workload>> rows;  // that have tables of their own
  std::vector<std::uint32_t> sizes;
  for (const ArmTarget& target : targets) {
    rows.push_back(children_.find(target.cgroup.id));
    if (rows.back() && (rows.back()->flags & NW_FLAG_POOLED) != 0) rows.back().reset();
    if (!rows.back()) sizes.push_back(target.image->max_addresses);
  }
  const auto slots = slots_->take(sizes);
  auto slot = slots.begin();
  std::vector<Result<nw_workload>> results;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    nw_workload config = rows[i].value_or(nw_workload{});
    const bool is_new = !rows[i];
    if (is_new) {
      const auto given = *slot++;
      if (!given) {
        results.emplace_back(tl::unexpected(given.error()));
        continue;
      }
      config.slot = *given;
    }
    results.push_back(arm_child(targets[i], config, is_new));
    if (!results.back() && is_new) slots_->give_back(config.slot);
  }
  return results;
}

Result<nw_workload> Layer::arm_child(const ArmTarget& target, nw_workload config, bool is_new) {
  if (find(target.cgroup.id) != nullptr) return fail(ErrorKind::kConflict, "the cgroup is armed already");
  if (is_new) {
    if (auto done = identify(config.slot, config); !done) return tl::unexpected(done.error());
  }
  if (auto done = describe(target, config.generation, config); !done) return tl::unexpected(done.error());
  config.flags |= NW_FLAG_CHILD | NW_FLAG_OWN_POLICY;
  config.template_id = target.cgroup.ancestors.front();
  if (auto done = write(config); !done) {
    rules_->release(config.policy_id);
    return tl::unexpected(done.error());
  }
  children_.note_taken(config.slot);
  armed_.insert_or_assign(target.cgroup.id, ArmedWorkload{config, target.image});
  return config;
}

Result<void> Layer::write(const nw_workload& config) const {
  if (is_child(config)) return children_.write_own(config);
  if (const int error = bpf_map_update_elem(objects_.map("workloads"), &config.cgroup_id, &config, BPF_EXIST);
      error < 0) {
    return fail_errno(-error, "cannot write the cgroup's policy");
  }
  return {};
}

// An update of a map of maps returns when every program that ran before has ended.
Result<void> Layer::wait_for_programs(std::uint32_t slot) const {
  const WorkloadTables* tables = slots_->tables(slot);
  if (tables == nullptr) return {};
  const int fd = tables->grants_fd();
  if (const int error = bpf_map_update_elem(objects_.map("grants"), &slot, &fd, BPF_ANY); error < 0)
    return fail_errno(-error, "cannot publish the grants");
  return {};
}

Result<nw_workload> Layer::replace(std::uint64_t cgroup_id, const SharedImage& image, bool strict) {
  const auto found = armed_.find(cgroup_id);
  if (found == armed_.end()) return not_armed();
  ArmedWorkload& armed = found->second;
  if (rules_->has_many_retired()) {
    if (auto done = wait_for_programs(armed.config.slot); !done) return tl::unexpected(done.error());
    rules_->no_program_reads_retired();
    if (auto done = rules_->remove_retired(); !done) return tl::unexpected(done.error());
  }
  const auto policy = rules_->acquire(image, armed.config.generation);
  if (!policy) return tl::unexpected(policy.error());
  nw_workload config = armed.config;
  describe_policy(*image, config);
  config.flags |= (armed.config.flags & NW_FLAGS_OF_CHILD) | (strict ? NW_FLAG_STRICT : 0);
  config.policy_id = policy->id;
  config.generation = policy->id;
  config.image_hash = policy->hash;
  if (auto done = write(config); !done) {
    rules_->release(policy->id);
    return tl::unexpected(done.error());
  }
  rules_->release(armed.config.policy_id);
  armed = {config, image};
  return config;
}

Result<void> Layer::change(ArmedWorkload& armed, const nw_workload& config) {
  if (auto done = write(config); !done) return done;
  armed.config = config;
  return {};
}

Result<void> Layer::set_strict(std::uint64_t cgroup_id, bool strict) {
  const auto found = armed_.find(cgroup_id);
  if (found == armed_.end()) return not_armed();
  nw_workload config = found->second.config;
  config.flags = strict ? config.flags | NW_FLAG_STRICT : config.flags & ~NW_FLAG_STRICT;
  return change(found->second, config);
}

Result<void> Layer::deny_all(std::uint64_t cgroup_id) {
  const auto found = armed_.find(cgroup_id);
  if (found == armed_.end()) return not_armed();
  nw_workload config = found->second.config;
  config.mode = NW_MODE_DENY;
  config.image_hash = 0;
  return change(found->second, config);
}

Result<void> Layer::recognise(std::uint64_t cgroup_id, const SharedImage& image) {
  const auto found = armed_.find(cgroup_id);
  if (found == armed_.end()) return not_armed();
  if (found->second.image) return {};
  const nw_workload& config = found->second.config;
  if (config.image_hash != hash_of(*image)) return fail(ErrorKind::kConflict, "another policy is in force");
  found->second.image = image;
  rules_->recognise(config.policy_id, image);
  if ((config.flags & NW_FLAG_TEMPLATE) != 0) child_addresses_ = std::max(child_addresses_, image->max_addresses);
  return {};
}

Result<void> Layer::disarm(int cgroup_fd, std::uint64_t cgroup_id) {
  const auto found = armed_.find(cgroup_id);
  if (found == armed_.end()) return not_armed();
  const nw_workload& config = found->second.config;
  if (is_child(config)) {
    if (auto done = children_.erase_own(cgroup_id); !done) return done;
    const auto row = children_.find(cgroup_id);
    const bool keeps_tables = row && row->slot == config.slot;
    rules_->release(config.policy_id);
    if (!keeps_tables) slots_->give_back(config.slot);
    armed_.erase(found);
    return {};
  }
  if (auto done = attachment_->detach(cgroup_fd); !done) return done;
  const nw_workload nobody{};  // the storage stays with the cgroup: whoever reads it later sees that it is not armed
  bpf_map_update_elem(objects_.map("workloads"), &cgroup_id, &nobody, BPF_EXIST);
  rules_->release(config.policy_id);
  slots_->give_back(config.slot);
  armed_.erase(found);
  return {};
}

void Layer::forget(std::uint64_t cgroup_id) {
  guarded_.erase(cgroup_id);
  const auto found = armed_.find(cgroup_id);
  if (found != armed_.end() && !is_child(found->second.config)) {
    const nw_workload& config = found->second.config;
    departed_.push_back({cgroup_id, config.slot, config.policy_id});
    armed_.erase(found);
    return;
  }
  const auto row = children_.find(cgroup_id);
  if (row) {
    (void)children_.erase(cgroup_id);
    children_.note_taken(row->slot);
    if ((row->flags & NW_FLAG_POOLED) == 0) slots_->give_back(row->slot);
  }
  if (found == armed_.end()) return;
  if (!row) slots_->give_back(found->second.config.slot);
  rules_->release(found->second.config.policy_id);
  armed_.erase(found);
}

}  // namespace namewall::bpf
