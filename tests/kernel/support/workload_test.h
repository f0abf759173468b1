// The fixture of the kernel tests: a network of its own, a resolver on 127.0.0.53, services far away, the real programs
// loaded, and one cgroup to arm.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/enforcer.h"
#include "policy/policy.h"
#include "policy/policy_image.h"
#include "tests/kernel/support/client.h"
#include "tests/kernel/support/dns_server.h"
#include "tests/kernel/support/far_services.h"
#include "tests/kernel/support/network.h"
#include "tests/kernel/support/throwaway_cgroup.h"
#include "tests/kernel/support/workload_process.h"

namespace namewall::kernel_tests {

// Rules as on the command line; the three resolvers below, no search list, min_ttl 1 s, grace 0, fresh names unbounded.
Policy make_policy(const std::vector<std::string>& allow, const std::vector<std::string>& deny = {});
PolicyImage compile(const Policy& policy, const HostPolicy& host = {});
BootTime boot_now();
bool is_full_size();  // NAMEWALL_SOAK=1

SocketAddress resolver();       // 127.0.0.53:53, near
SocketAddress far_resolver();   // 10.77.0.1:53
SocketAddress far_resolver6();  // [fd77::1]:53

// The network with its servers; nothing is loaded yet.
class NetworkTest : public testing::Test {
 protected:
  static constexpr std::uint16_t kTcpPorts[] = {22, 80, 443, 8443};
  static constexpr std::uint16_t kUdpPorts[] = {123, 443, 4433};

  void SetUp() override;

  Network network_;
  Zone zone_;  // edit, then serve_zone()
  void serve_zone();
  std::unique_ptr<DnsServer> dns_;      // on resolver()
  std::unique_ptr<DnsServer> far_dns_;  // on far_resolver() and far_resolver6()
  std::unique_ptr<FarServices> far_;
};

class WorkloadTest : public NetworkTest {
 protected:
  void SetUp() override;

  // Arms `cgroup_` (or another one) with the policy. Trusts the near network namespace.
  void arm(const Policy& policy, bool strict = false);
  bpf::Workload arm_other(const ThrowawayCgroup& cgroup, const Policy& policy, bool strict = false);
  bpf::Workload arm_with(const ThrowawayCgroup& cgroup, const Policy& policy, bpf::ArmOptions options);
  void replace(const Policy& policy, bool strict = false);

  // One act of a fresh process in `cgroup_`.
  int tcp_inside(const Address& address, std::uint16_t port = 443);
  LookupOutcome look_up_inside(const std::string& name, std::uint16_t type = 1);

  // All events since the last call.
  std::vector<Event> take_events();
  // The reasons of take_events, in order.
  std::vector<std::string> take_reasons();
  std::uint64_t count_of(Reason reason) const;
  std::uint64_t counter(const std::string& name) const;
  std::vector<GrantRecord> grants() const;
  // The addresses of live grants without a note, sorted.
  std::vector<std::string> granted_addresses() const;

  bpf::LoadOptions load_options_{.max_names = 65536, .max_workloads = 4};  // of SetUp
  std::optional<bpf::Enforcer> enforcer_;
  ThrowawayCgroup cgroup_;
  bpf::Workload workload_;
};

}  // namespace namewall::kernel_tests
