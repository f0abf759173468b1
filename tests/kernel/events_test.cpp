// Events: what they say, how many there are, and that nobody waits for a reader.
#include <poll.h>

#include "bpf/abi.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

class Events : public WorkloadTest {};

TEST_F(Events, RefusedConnectNamesProcessDestinationAndReason) {
  arm(make_policy({"example.com"}));
  struct Who {
    pid_t pid;
    BootTime before;
  };
  const auto who = in_cgroup(cgroup_, [] {
    const Who me{getpid(), boot_now()};
    if (setgid(65534) != 0 || setuid(65534) != 0) return Who{};
    tcp_connect(ip("2001:db8::7"), 8443);
    return me;
  });
  const auto events = take_events();
  ASSERT_EQ(events.size(), 1u);
  const auto& event = events[0];
  EXPECT_EQ(event.hook, Hook::kConnect);
  EXPECT_EQ(event.reason, NW_REASON_NOT_LOOKED_UP);
  EXPECT_EQ(event.address, ip("2001:db8::7"));
  EXPECT_EQ(event.port.number, 8443);
  EXPECT_EQ(event.ip_protocol, IPPROTO_TCP);
  EXPECT_EQ(event.pid, static_cast<std::uint32_t>(who.pid));
  EXPECT_EQ(event.uid, 65534u);
  EXPECT_EQ(event.command, "kernel_tests");
  EXPECT_EQ(event.workload_id, workload_.id);
  EXPECT_EQ(event.policy_generation, workload_.generation);
  EXPECT_GT(event.time, who.before);
  EXPECT_LT(event.time, boot_now());
  EXPECT_EQ(event.left_out, 0u);
  EXPECT_FALSE(event.audit);
}

TEST_F(Events, RefusedSendAndSocketTellTheirHook) {
  arm(make_policy({}));
  in_cgroup(cgroup_, [] {
    udp_send_to(ip("192.0.2.1"), 123);
    make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  });
  const auto events = take_events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].hook, Hook::kSend);
  EXPECT_EQ(events[0].ip_protocol, IPPROTO_UDP);
  EXPECT_EQ(events[1].hook, Hook::kSocket);
  EXPECT_EQ(events[1].reason, NW_REASON_SOCKET_PROTOCOL);
}

TEST_F(Events, RefusedQuestionCarriesItsPacketForTheAnswer) {
  arm(make_policy({}));
  look_up_inside("a-name-that-nobody-allows.example");
  const auto events = take_events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].hook, Hook::kQuestion);
  EXPECT_EQ(events[0].name, "a-name-that-nobody-allows.example");
  EXPECT_EQ(events[0].netns_cookie, *bpf::netns_cookie());
  // IPv4 header, UDP header, DNS header, name, type and class.
  EXPECT_EQ(events[0].packet.size(), 20u + 8 + 12 + 35 + 4);
}

TEST_F(Events, RateIsLimitedPerWorkloadAndTheRestIsCounted) {
  arm(make_policy({}));
  const ThrowawayCgroup neighbour;
  const auto other = arm_other(neighbour, make_policy({}));
  constexpr std::uint64_t kRefusals = 5'000;
  in_cgroup(cgroup_, [] {
    for (std::uint64_t i = 0; i < kRefusals; ++i) udp_connect(ip("192.0.2.1"), 443);
  });
  EXPECT_EQ(in_cgroup(neighbour, [] { return udp_connect(ip("192.0.2.2"), 443); }), ECONNREFUSED);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // a new window: its first event tells the rest
  in_cgroup(cgroup_, [] { udp_connect(ip("192.0.2.1"), 443); });
  std::uint64_t events = 0, left_out = 0, of_neighbour = 0;
  for (const auto& event : take_events()) {
    if (event.workload_id == other.id)
      ++of_neighbour;
    else
      ++events, left_out += event.left_out;
  }
  EXPECT_EQ(events + left_out, kRefusals + 1) << "every refusal is an event or counted by one";
  EXPECT_GE(events, 2u);
  EXPECT_LE(events, 3u * NW_EVENTS_PER_WINDOW);
  EXPECT_EQ(of_neighbour, 1u);
  EXPECT_EQ(count_of(NW_REASON_NOT_LOOKED_UP), kRefusals + 1);
  EXPECT_EQ(counter("events_limited"), left_out);
}

TEST_F(Events, FullRingLosesEventsAndNothingElse) {
  bpf::LoadOptions options;
  options.event_ring_bytes = 4096 * 4;  // a handful of events
  auto small = bpf::Enforcer::load(options);
  ASSERT_TRUE(small) << small.error().message();
  enforcer_.emplace(std::move(*small));
  arm(make_policy({}));
  const auto slowest_us = in_cgroup(cgroup_, [] {
    std::int64_t slowest = 0;
    for (int i = 0; i < 200; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      if (udp_connect(ip("192.0.2.1"), 443) != ECONNREFUSED) return std::int64_t{-1};
      slowest = std::max(slowest, (std::chrono::steady_clock::now() - begin).count() / 1000);
    }
    return slowest;
  });
  EXPECT_GE(slowest_us, 0) << "a connect was not refused";
  EXPECT_LT(slowest_us, 200'000);
  EXPECT_EQ(count_of(NW_REASON_NOT_LOOKED_UP), 200u);
  EXPECT_GT(counter("events_lost"), 0u);
  EXPECT_EQ(counter("events") + counter("events_lost") + counter("events_limited"), 200u);
  EXPECT_EQ(take_events().size(), counter("events"));
}

TEST_F(Events, DescriptorIsReadableWhenEventsWait) {
  arm(make_policy({}));
  pollfd waiting{enforcer_->event_fd(), POLLIN, 0};
  EXPECT_EQ(poll(&waiting, 1, 0), 0);
  in_cgroup(cgroup_, [] { udp_connect(ip("192.0.2.1"), 443); });
  EXPECT_EQ(poll(&waiting, 1, 1000), 1);
  take_events();
}

}  // namespace
}  // namespace namewall::kernel_tests
