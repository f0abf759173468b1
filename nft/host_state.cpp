// HostEnforcer: the model.
#include "nft/host_state.h"

#include <time.h>

#include "nft/cgroup_paths.h"

namespace namewall::nft {

BootTime boot_now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return BootTime{std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec)};
}

WorkloadModel* HostEnforcer::State::find(std::uint64_t cgroup_id) {
  const auto found = workloads.find(cgroup_id);
  return found == workloads.end() ? nullptr : found->second.get();
}

std::vector<WorkloadModel*> HostEnforcer::State::above(std::string_view cgroup) {
  std::vector<WorkloadModel*> found;
  while (cgroup != "/") {
    cgroup = parent_of(cgroup);
    const auto at = by_path.find(cgroup);
    WorkloadModel* workload = at == by_path.end() ? nullptr : find(at->second);
    if (workload != nullptr && !workload->is_template) found.push_back(workload);
  }
  return found;
}

std::vector<WorkloadModel*> HostEnforcer::State::below(std::string_view cgroup) {
  std::vector<WorkloadModel*> found;
  for (auto at = by_path.upper_bound(cgroup); at != by_path.end() && at->first.starts_with(cgroup); ++at) {
    if (is_below(at->first, cgroup)) found.push_back(workloads.at(at->second).get());
  }
  return found;
}

WorkloadModel* HostEnforcer::State::template_of(std::string_view cgroup) {
  const auto at = by_path.find(parent_of(cgroup));
  WorkloadModel* above = at == by_path.end() ? nullptr : find(at->second);
  return above != nullptr && above->is_template ? above : nullptr;
}

std::vector<WorkloadModel*> HostEnforcer::State::children_of(const WorkloadModel& of_template) {
  std::vector<WorkloadModel*> children;
  for (WorkloadModel* nested : below(of_template.cgroup)) {
    if (nested->template_id == of_template.cgroup_id) children.push_back(nested);
  }
  return children;
}

Result<std::shared_ptr<const ImageElements>> HostEnforcer::State::elements_of(const PolicyImage& image,
                                                                              std::uint64_t image_hash) {
  auto& known = images[image_hash];
  if (auto elements = known.lock()) return elements;
  auto built = build_image_elements(image);
  if (!built) {
    images.erase(image_hash);
    return tl::unexpected(built.error());
  }
  auto elements = std::make_shared<const ImageElements>(std::move(*built));
  known = elements;
  return elements;
}

Result<AskerToken> HostEnforcer::State::free_token() {
  for (std::uint32_t tried = kFirstNftToken; tried <= 0xffff; ++tried) {
    last_token = std::max<AskerToken>(static_cast<AskerToken>(last_token + 1), kFirstNftToken);
    if (!tokens.contains(last_token)) return last_token;
  }
  return fail(ErrorKind::kLimit, "32768 workloads are armed");
}

std::vector<Element> HostEnforcer::State::wanted_fixed(const WorkloadModel& workload) {
  std::vector<Element> all = workload.fixed_elements();
  if (workload.is_template) return all;
  if (auto pair = own_pair_element(workload, above(workload.cgroup))) all.insert(all.begin(), std::move(*pair));
  return all;
}

Element HostEnforcer::State::guard_element(std::uint64_t cgroup_id, const std::string& path) const {
  Element element;
  element.set = SetId::kParents;
  element.key = encode_cgroup(cgroup_id);
  element.comment = to_comment(WorkloadTag{0, 0, 0, false, path});
  return element;
}

WorkloadModel& HostEnforcer::State::enter(std::unique_ptr<WorkloadModel> workload) {
  WorkloadModel& entered = *workload;
  workloads.insert_or_assign(entered.cgroup_id, std::move(workload));
  by_path.insert_or_assign(entered.cgroup, entered.cgroup_id);
  if (entered.token != 0) tokens.insert_or_assign(entered.token, entered.cgroup_id);
  (entered.is_template ? parent_depths : depths).insert(entered.depth);
  return entered;
}

void HostEnforcer::State::erase(std::uint64_t cgroup_id) {
  const auto found = workloads.find(cgroup_id);
  if (found == workloads.end()) return;
  const auto path = by_path.find(found->second->cgroup);
  if (path != by_path.end() && path->second == cgroup_id) by_path.erase(path);
  tokens.erase(found->second->token);
  for (const auto& table : tables) table->members.erase(cgroup_id);
  workloads.erase(found);
}

}  // namespace namewall::nft
