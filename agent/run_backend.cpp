#include "agent/run_backend.h"

#include <utility>

#include "agent/run_tables.h"
#include "bpf/enforcer.h"

namespace namewall::agent {
namespace {

class BpfRun final : public RunBackend {
 public:
  BpfRun(bpf::Enforcer enforcer, bpf::Workload workload) : enforcer_(std::move(enforcer)), workload_(workload) {}

  std::uint64_t cgroup_id() const override { return workload_.cgroup_id; }
  Result<void> set_own_addresses(const std::vector<Address>& addresses) override {
    return enforcer_.set_own_addresses(addresses);
  }
  Result<std::vector<GrantRecord>> read_grants() const override { return enforcer_.read_grants(workload_); }
  Result<Counters> read_counters() const override { return enforcer_.read_counters(workload_); }
  Result<void> keep_house() override {
    if (const auto reaped = enforcer_.reap(workload_); !reaped) return tl::unexpected(reaped.error());
    return {};
  }
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) override {
    return enforcer_.teach(cgroup_id, lesson, now);
  }
  void teach_all(std::span<LessonOrder> orders, BootTime) override { enforcer_.teach_all(orders); }
  Result<void> add_proxy_place(const ProxyPlace& place) override { return enforcer_.add_proxy_place(place); }
  Result<void> remove_proxy_place(const ProxyPlace& place) override { return enforcer_.remove_proxy_place(place); }
  std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const override {
    return enforcer_.cgroup_of_token(token);
  }
  std::optional<std::uint64_t> take_asker(const AskerKey& key) override { return enforcer_.take_asker(key); }
  std::vector<int> event_fds() const override { return {enforcer_.event_fd()}; }
  Result<std::size_t> consume_events(std::size_t max, const std::function<void(const Event&)>& handle) override {
    return enforcer_.consume_events(max, handle);
  }
  std::vector<Stranger> follow_namespaces() override { return {}; }
  bool follows_namespaces() const override { return false; }
  void clear() override {}

 private:
  bpf::Enforcer enforcer_;
  bpf::Workload workload_;
};

Result<std::unique_ptr<RunBackend>> arm_by_bpf(int cgroup_fd, const PolicyImage& image, std::uint64_t own_netns) {
  Result<bpf::Enforcer> enforcer = bpf::Enforcer::load({});
  if (!enforcer) return tl::unexpected(enforcer.error());
  bpf::ArmOptions options;
  options.trusted_netns = {own_netns};
  const Result<bpf::Workload> workload = enforcer->arm(cgroup_fd, image, options);
  if (!workload) return tl::unexpected(workload.error());
  return std::make_unique<BpfRun>(std::move(*enforcer), *workload);
}

}  // namespace

Result<std::unique_ptr<RunBackend>> arm_run(int cgroup_fd, const std::string& cgroup, const PolicyImage& image,
                                            std::uint64_t own_netns) {
  if (image.backend == Backend::kNft) return arm_by_table(cgroup_fd, cgroup, image, own_netns);
  return arm_by_bpf(cgroup_fd, image, own_netns);
}

}  // namespace namewall::agent
