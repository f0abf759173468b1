#include "bench/host/armed_workload.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "bench/addresses.h"
#include "policy/policy_loader.h"

namespace namewall::bench {
namespace {

constexpr const char* kName = "bench.example";
constexpr std::uint32_t kGrantBatch = 10'000;

BootTime boot_now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return {std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec)};
}

}  // namespace

Result<PolicyImage> build_image(const std::vector<std::string>& resolvers, std::uint32_t max_addresses,
                                std::uint32_t more_rules) {
  std::vector<std::string> allow = {std::string("*://") + kName + ":*", std::string("*://**.") + kName + ":*"};
  for (std::uint32_t i = 0; i < more_rules; ++i) allow.push_back("r" + std::to_string(i) + ".rules.example");
  Loaded<Policy> loaded = load_policy_arguments(allow, {});
  if (!loaded.ok()) return fail(ErrorKind::kInvalid, "the benchmark's policy: " + loaded.diagnostics[0].to_string());
  Policy& policy = loaded.value;
  policy.dns.resolvers_from_system = false;
  policy.dns.search_from_system = false;
  policy.dns.min_ttl = std::chrono::seconds(1);
  policy.dns.grace = Nanoseconds::zero();
  policy.dns.max_addresses = max_addresses;
  policy.dns.bounds.fresh_per_second = 1'000'000;  // asked as quickly as the machine can
  for (const std::string& resolver : resolvers) {
    const auto address = parse_resolver_address(resolver);
    if (!address) return fail(ErrorKind::kInvalid, resolver + " is not a resolver's address");
    policy.dns.resolvers.push_back(*address);
  }
  return compile_policy(policy, HostPolicy{}, ResolvConf{});
}

Result<ArmedWorkload> ArmedWorkload::arm(std::shared_ptr<bpf::Enforcer> enforcer, int cgroup_fd,
                                         const PolicyImage& image) {
  auto cookie = bpf::netns_cookie();
  if (!cookie) return tl::unexpected<Error>(std::move(cookie.error()));
  bpf::ArmOptions options;
  options.trusted_netns = {*cookie};
  auto workload = enforcer->arm(cgroup_fd, image, options);
  if (!workload) return tl::unexpected<Error>(std::move(workload.error()));
  return ArmedWorkload(std::move(enforcer), *workload, image);
}

Result<void> ArmedWorkload::grant(std::uint32_t count) {
  Grant grant{DomainName::from_normal(kName), Address(), boot_now() + std::chrono::hours(24), 0, NW_REASON_NONE};
  grant.ports = decide_name(image_, grant.name).allow;
  for (std::uint32_t first = 0; first < count; first += kGrantBatch) {
    const std::uint32_t end = std::min(count, first + kGrantBatch);
    std::vector<Grant> batch;
    for (std::uint32_t index = first; index < end; ++index) {
      grant.address = Address::v4(granted_address(index));
      batch.push_back(grant);
    }
    auto added = enforcer_->add_grants(workload_, batch);
    if (!added) return tl::unexpected<Error>(std::move(added.error()));
    if (*added != batch.size())
      return fail(ErrorKind::kLimit,
                  "only " + std::to_string(*added) + " of " + std::to_string(batch.size()) + " grants found room");
  }
  return {};
}

Result<void> ArmedWorkload::replace(const PolicyImage& image) {
  auto replaced = enforcer_->replace(workload_, image, false);
  if (replaced) image_ = image;
  return replaced;
}

Result<void> ArmedWorkload::disarm(int cgroup_fd) { return enforcer_->disarm(cgroup_fd, workload_); }

}  // namespace namewall::bench
