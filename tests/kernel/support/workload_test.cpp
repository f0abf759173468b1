#include "tests/kernel/support/workload_test.h"

#include <time.h>

#include <algorithm>
#include <cstdlib>

#include "policy/policy_loader.h"

namespace namewall::kernel_tests {

SocketAddress resolver() { return SocketAddress(ip("127.0.0.53"), 53); }
SocketAddress far_resolver() { return SocketAddress(ip("10.77.0.1"), 53); }
SocketAddress far_resolver6() { return SocketAddress(ip("fd77::1"), 53); }

Policy make_policy(const std::vector<std::string>& allow, const std::vector<std::string>& deny) {
  auto loaded = load_policy_arguments(allow, deny);
  for (const auto& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity == Diagnostic::Severity::kError) ADD_FAILURE() << diagnostic.to_string();
  }
  Policy& policy = loaded.value;
  policy.dns.resolvers_from_system = false;
  policy.dns.resolvers.clear();
  for (const auto& server : {resolver(), far_resolver(), far_resolver6()}) {
    policy.dns.resolvers.push_back({server.address(), Port{server.port()}});
  }
  policy.dns.search_from_system = false;
  policy.dns.min_ttl = std::chrono::seconds(1);
  policy.dns.grace = Nanoseconds(0);
  policy.dns.bounds.fresh_per_second = 1'000'000;  // tests ask for new names below wildcards as quickly as they can
  return policy;
}

PolicyImage compile(const Policy& policy, const HostPolicy& host) {
  auto image = compile_policy(policy, host, ResolvConf{});
  if (!image) {
    ADD_FAILURE() << image.error().message();
    return {};
  }
  if (policy.dns.learn == Learn::kProxy) image->learn = Learn::kProxy;
  return *image;
}

BootTime boot_now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return BootTime{std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec)};
}

bool is_full_size() {
  const char* soak = std::getenv("NAMEWALL_SOAK");
  return soak != nullptr && std::string(soak) == "1";
}

void NetworkTest::SetUp() {
  network_.in_far([this] {
    far_ = std::make_unique<FarServices>(std::vector(std::begin(kTcpPorts), std::end(kTcpPorts)),
                                         std::vector(std::begin(kUdpPorts), std::end(kUdpPorts)));
    far_dns_ = std::make_unique<DnsServer>(std::vector{far_resolver(), far_resolver6()}, zone_.answerer());
  });
  dns_ = std::make_unique<DnsServer>(std::vector{resolver()}, zone_.answerer());
}

void WorkloadTest::SetUp() {
  NetworkTest::SetUp();
  auto enforcer = bpf::Enforcer::load(load_options_);
  ASSERT_TRUE(enforcer) << enforcer.error().message();
  enforcer_.emplace(std::move(*enforcer));
  const auto own = enforcer_->set_own_addresses({ip("10.77.0.2"), ip("fd77::2")});
  ASSERT_TRUE(own) << own.error().message();
}

void NetworkTest::serve_zone() {
  dns_->answer_with(zone_.answerer());
  far_dns_->answer_with(zone_.answerer());
}

bpf::Workload WorkloadTest::arm_other(const ThrowawayCgroup& cgroup, const Policy& policy, bool strict) {
  return arm_with(cgroup, policy, {.trusted_netns = {}, .strict = strict});
}

bpf::Workload WorkloadTest::arm_with(const ThrowawayCgroup& cgroup, const Policy& policy, bpf::ArmOptions options) {
  const auto cookie = bpf::netns_cookie();
  if (!cookie)
    ADD_FAILURE() << cookie.error().message();
  else
    options.trusted_netns = {*cookie};
  const auto armed = enforcer_->arm(cgroup.fd(), compile(policy), options);
  if (!armed) {
    ADD_FAILURE() << armed.error().message();
    return {};
  }
  return *armed;
}

void WorkloadTest::arm(const Policy& policy, bool strict) { workload_ = arm_other(cgroup_, policy, strict); }

void WorkloadTest::replace(const Policy& policy, bool strict) {
  const auto replaced = enforcer_->replace(workload_, compile(policy), strict);
  if (!replaced) ADD_FAILURE() << replaced.error().message();
}

int WorkloadTest::tcp_inside(const Address& address, std::uint16_t port) {
  return in_cgroup(cgroup_, [&] { return tcp_connect(address, port); });
}

LookupOutcome WorkloadTest::look_up_inside(const std::string& name, std::uint16_t type) {
  return in_cgroup(cgroup_, [&] { return look_up(resolver(), name, type); });
}

std::vector<Event> WorkloadTest::take_events() {
  std::vector<Event> events;
  for (;;) {
    const auto consumed = enforcer_->consume_events(1024, [&](const Event& event) { events.push_back(event); });
    if (!consumed) ADD_FAILURE() << consumed.error().message();
    if (!consumed || *consumed == 0) return events;
  }
}

std::vector<std::string> WorkloadTest::take_reasons() {
  std::vector<std::string> reasons;
  for (const auto& event : take_events()) reasons.emplace_back(code_of(event.reason));
  return reasons;
}

std::uint64_t WorkloadTest::count_of(Reason reason) const {
  const auto counters = enforcer_->read_counters(workload_);
  if (!counters) {
    ADD_FAILURE() << counters.error().message();
    return 0;
  }
  return counters->by_reason.at(reason);
}

std::uint64_t WorkloadTest::counter(const std::string& name) const {
  const auto counters = enforcer_->read_counters(workload_);
  if (!counters) {
    ADD_FAILURE() << counters.error().message();
    return 0;
  }
  for (const auto& [key, value] : counters->counters) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no counter " << name;
  return 0;
}

std::vector<GrantRecord> WorkloadTest::grants() const {
  auto records = enforcer_->read_grants(workload_);
  if (!records) {
    ADD_FAILURE() << records.error().message();
    return {};
  }
  return std::move(*records);
}

std::vector<std::string> WorkloadTest::granted_addresses() const {
  std::vector<std::string> addresses;
  const auto now = boot_now();
  for (const auto& record : grants()) {
    if (record.grant.note == NW_REASON_NONE && record.grant.deadline > now) {
      addresses.push_back(record.grant.address.to_string());
    }
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

}  // namespace namewall::kernel_tests
