// nft::HostEnforcer: what it promises of each call, by real sockets.
#include "tests/kernel/support/nft_host_test.h"

#include <algorithm>
#include <thread>

#include "policy/image_hash.h"
#include "tests/kernel/support/lesson_builder.h"

namespace namewall::kernel_tests {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Of this thread and what the kernel does for it: others run beside the test.
std::chrono::nanoseconds thread_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TEST_F(NftHostTest, RefusesEverythingUntilItLearnsAndThenThatAlone) {
  open();
  const auto image = image_of({"tcp://a.test:443"});
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  arm(cgroup_, image);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), ECONNREFUSED);
  EXPECT_EQ(teach(cgroup_, *image, "a.test", {"192.0.2.1", "2001:db8::1"}), NW_REASON_NONE);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "2001:db8::1"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1", 80), ECONNREFUSED);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.2"), ECONNREFUSED);
  EXPECT_EQ(udp_in(cgroup_, "192.0.2.1", 443), EPERM);
}

TEST_F(NftHostTest, AddressRulesHoldWithoutALookup) {
  open();
  arm(cgroup_, image_with(make_policy({"tcp://192.0.2.0/24:443"}, {"tcp://192.0.2.7:443"})));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.7"), ECONNREFUSED);
}

TEST_F(NftHostTest, GrantsEndByThemselves) {
  open();
  const auto image = image_of({"tcp://a.test:443"});
  arm(cgroup_, image);
  ASSERT_EQ(teach(cgroup_, *image, "a.test", {"192.0.2.1"}, 400ms), NW_REASON_NONE);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  std::this_thread::sleep_for(600ms);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), ECONNREFUSED);
}

TEST_F(NftHostTest, AGrantThatWasRenewedLastsUntilItsNewEnd) {
  for (const bool is_old : {false, true}) {
    close();
    ASSERT_TRUE(nft::HostEnforcer::teardown_all(options_));
    if (is_old) become_old_kernel();
    open();
    const auto image = image_of({"tcp://a.test:443"});
    const ThrowawayCgroup cgroup;
    arm(cgroup, image);
    ASSERT_EQ(teach(cgroup, *image, "a.test", {"192.0.2.1"}, 500ms), NW_REASON_NONE);
    ASSERT_EQ(teach(cgroup, *image, "a.test", {"192.0.2.1"}, 10min), NW_REASON_NONE);
    std::this_thread::sleep_for(700ms);
    EXPECT_EQ(tcp_in(cgroup, "192.0.2.1"), 0) << is_old;
    // Taught again when the first is over.
    ASSERT_EQ(teach(cgroup, *image, "a.test", {"192.0.2.2"}, 200ms), NW_REASON_NONE);
    std::this_thread::sleep_for(400ms);
    ASSERT_EQ(teach(cgroup, *image, "a.test", {"192.0.2.2"}, 10min), NW_REASON_NONE);
    EXPECT_EQ(tcp_in(cgroup, "192.0.2.2"), 0) << is_old;
  }
}

TEST_F(NftHostTest, ARenewalThatWaitedIsMadeInTime) {
  open();
  const auto image = image_of({"tcp://a.test:443"});
  arm(cgroup_, image);
  ASSERT_EQ(teach(cgroup_, *image, "a.test", {"192.0.2.1"}, 1000ms), NW_REASON_NONE);
  ASSERT_EQ(teach(cgroup_, *image, "a.test", {"192.0.2.1"}, 1400ms), NW_REASON_NONE);
  std::this_thread::sleep_for(700ms);
  EXPECT_TRUE(host_->keep_house());
  std::this_thread::sleep_for(450ms);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
}

TEST_F(NftHostTest, TheNextAnswerEndsWhatTheLastOneGave) {
  open();
  const auto image = image_of({"tcp://a.test:443"});
  arm(cgroup_, image);
  const BootTime now = boot_now();
  Lesson lesson = make_lesson(*image, "a.test", {"192.0.2.1", "192.0.2.2"}, kNever);
  lesson.replaces_family = 4;
  ASSERT_EQ(host_->teach(id_of(cgroup_), lesson, now), NW_REASON_NONE);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  lesson = make_lesson(*image, "a.test", {"192.0.2.2", "192.0.2.3"}, kNever);
  lesson.replaces_family = 4;
  ASSERT_EQ(host_->teach(id_of(cgroup_), lesson, boot_now()), NW_REASON_NONE);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), ECONNREFUSED);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.2"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.3"), 0);
}

TEST_F(NftHostTest, OrdersAreTaughtTogetherAndEachHasItsOutcome) {
  open();
  Policy policy = make_policy({"tcp://*.test:443"});
  policy.dns.max_addresses = 2;
  const auto image = image_with(policy);
  arm(cgroup_, image);
  const BootTime now = boot_now();
  const Lesson first = make_lesson(*image, "a.test", {"192.0.2.1", "192.0.2.2"}, now + 1h);
  const Lesson second = make_lesson(*image, "b.test", {"192.0.2.1", "192.0.2.3"}, now + 1h);
  std::vector<LessonOrder> orders{{id_of(cgroup_), &first}, {id_of(cgroup_), &second}, {1, &first}};
  host_->teach_all(orders, now);
  EXPECT_EQ(orders[0].reason, NW_REASON_NONE);
  EXPECT_EQ(orders[1].reason, NW_REASON_GRANTS_FULL);
  EXPECT_EQ(orders[2].reason, NW_REASON_NOT_ARMED);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.2"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.3"), ECONNREFUSED);
}

TEST_F(NftHostTest, WidePortSetsReachAllTheirPortsAndNoOther) {
  open();
  const auto image = image_of({"tcp://a.test:400-500"});
  arm(cgroup_, image);
  ASSERT_EQ(teach(cgroup_, *image, "a.test", {"192.0.2.1"}), NW_REASON_NONE);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1", 443), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1", 80), ECONNREFUSED);
}

TEST_F(NftHostTest, AReplacementJudgesWhatWasLearnedAnew) {
  open();
  const auto image = image_of({"tcp://a.test:443", "tcp://b.test:443"});
  arm(cgroup_, image);
  ASSERT_EQ(teach(cgroup_, *image, "a.test", {"192.0.2.1"}), NW_REASON_NONE);
  ASSERT_EQ(teach(cgroup_, *image, "b.test", {"192.0.2.2"}), NW_REASON_NONE);
  const auto replaced = host_->replace(id_of(cgroup_), image_of({"tcp://b.test:443,80"}), true);
  ASSERT_TRUE(replaced) << replaced.error().message();
  EXPECT_EQ(replaced->generation, 2u);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), ECONNREFUSED);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.2"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.2", 80), 0);
  EXPECT_THAT(damage(), IsEmpty());
}

TEST_F(NftHostTest, DenyAllRefusesWhatWasAllowedAndEstablished) {
  open();
  const auto image = image_of({"tcp://192.0.2.0/24:443", "tcp://a.test:443"});
  arm(cgroup_, image);
  ASSERT_EQ(teach(cgroup_, *image, "a.test", {"198.51.100.1"}), NW_REASON_NONE);
  ASSERT_TRUE(host_->deny_all(id_of(cgroup_)));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), ECONNREFUSED);
  EXPECT_EQ(tcp_in(cgroup_, "198.51.100.1"), ECONNREFUSED);
  EXPECT_EQ(host_->find(id_of(cgroup_))->image_hash, 0u);
  ASSERT_TRUE(host_->replace(id_of(cgroup_), image, false));
  EXPECT_EQ(tcp_in(cgroup_, "198.51.100.1"), 0);
}

TEST_F(NftHostTest, DisarmingLiftsAndArmingAgainForgets) {
  open();
  const auto image = image_of({"tcp://a.test:443"});
  arm(cgroup_, image);
  ASSERT_EQ(teach(cgroup_, *image, "a.test", {"192.0.2.1"}), NW_REASON_NONE);
  ASSERT_TRUE(host_->disarm(cgroup_.fd(), id_of(cgroup_)));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), 0);
  EXPECT_EQ(host_->find_drift(false)->unknown, 0u);
  arm(cgroup_, image);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), ECONNREFUSED);
}

TEST_F(NftHostTest, NestedWorkloadsIntersect) {
  open();
  const ThrowawayCgroup inner(cgroup_);
  arm(cgroup_, image_of({"tcp://192.0.2.0/24:443", "tcp://198.51.100.0/24:443"}));
  arm(inner, image_of({"tcp://192.0.2.0/24:443", "tcp://203.0.113.0/24:443"}));
  EXPECT_EQ(tcp_in(inner, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(inner, "198.51.100.1"), ECONNREFUSED);
  EXPECT_EQ(tcp_in(inner, "203.0.113.1"), ECONNREFUSED);
  EXPECT_EQ(tcp_in(cgroup_, "198.51.100.1"), 0);
  EXPECT_THAT(host_->levels_of(id_of(inner)), ElementsAre(id_of(inner), id_of(cgroup_)));
  ASSERT_TRUE(host_->disarm(inner.fd(), id_of(inner)));
  EXPECT_EQ(tcp_in(inner, "198.51.100.1"), 0);
}

TEST_F(NftHostTest, ATemplatesChildIsRefusedUntilItIsMetAndHeldAlone) {
  open();
  const auto image = image_of({"tcp://a.test:443"});
  ArmRequest asked = request(cgroup_, image);
  asked.options.children = Children::kApart;
  const auto armed = host_->arm({asked}).front();
  ASSERT_TRUE(armed) << armed.error().message();
  EXPECT_TRUE(armed->is_template);
  const ThrowawayCgroup one(cgroup_), other(cgroup_);
  EXPECT_EQ(tcp_in(one, "192.0.2.1"), ECONNREFUSED);
  EXPECT_EQ(host_->armed()->size(), 3u);
  const auto child = host_->find(id_of(one));
  ASSERT_TRUE(child);
  EXPECT_TRUE(child->is_child);
  EXPECT_FALSE(child->has_own_policy);
  EXPECT_EQ(child->template_id, id_of(cgroup_));
  ASSERT_EQ(teach(one, *image, "a.test", {"192.0.2.1"}), NW_REASON_NONE);
  EXPECT_EQ(tcp_in(one, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(other, "192.0.2.1"), ECONNREFUSED);
  ASSERT_TRUE(host_->replace(id_of(cgroup_), image_of({"tcp://192.0.2.2:443"}), false));
  EXPECT_EQ(tcp_in(other, "192.0.2.2"), 0);
  EXPECT_EQ(tcp_in(one, "192.0.2.1"), ECONNREFUSED);
  ASSERT_TRUE(host_->disarm(cgroup_.fd(), id_of(cgroup_)));
  EXPECT_EQ(tcp_in(one, "192.0.2.1"), 0);
  EXPECT_EQ(host_->armed()->size(), 0u);
}

TEST_F(NftHostTest, AGuardRefusesNewChildrenUntilTheyAreArmed) {
  open();
  ASSERT_TRUE(host_->guard(cgroup_.fd(), id_of(cgroup_)));
  const ThrowawayCgroup child(cgroup_);
  EXPECT_EQ(tcp_in(child, "192.0.2.1"), ECONNREFUSED);
  arm(child, image_of({"tcp://192.0.2.1:443"}));
  EXPECT_EQ(tcp_in(child, "192.0.2.1"), 0);
  const ThrowawayCgroup another(cgroup_);
  close();
  open();
  EXPECT_TRUE(host_->guarded().contains(id_of(cgroup_)));
  ASSERT_TRUE(host_->unguard(cgroup_.fd(), id_of(cgroup_)));
  EXPECT_EQ(tcp_in(another, "192.0.2.9"), 0);
}

TEST_F(NftHostTest, ACgroupMadeAnewIsNotTheArmedOne) {
  open();
  ThrowawayCgroup gone;
  arm(gone, image_of({"tcp://a.test:443"}));
  const std::uint64_t id = id_of(gone);
  ASSERT_TRUE(gone.remove());
  host_->forget(id);
  EXPECT_FALSE(host_->find(id));
  EXPECT_EQ(host_->find_drift(false)->unknown, 0u);
}

TEST_F(NftHostTest, EventsSayWhoWhereAndWhy) {
  open();
  const auto image = image_of({"tcp://a.test:443"});
  const ArmedCgroup armed = arm(cgroup_, image);
  ASSERT_EQ(teach(cgroup_, *image, "a.test", {"192.0.2.1"}), NW_REASON_NONE);
  ASSERT_EQ(tcp_in(cgroup_, "192.0.2.1", 80), ECONNREFUSED);
  ASSERT_EQ(udp_in(cgroup_, "192.0.2.9", 123), EPERM);
  const std::vector<Event> seen = events();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].cgroup_id, armed.cgroup_id);
  EXPECT_EQ(seen[0].workload_id, armed.workload_id);
  EXPECT_EQ(seen[0].hook, Hook::kConnect);
  EXPECT_EQ(seen[0].reason, NW_REASON_PORT);
  EXPECT_EQ(seen[0].name, "a.test");
  EXPECT_EQ(seen[0].address, ip("192.0.2.1"));
  EXPECT_EQ(seen[0].port, Port{80});
  EXPECT_EQ(seen[1].hook, Hook::kSend);
  EXPECT_EQ(seen[1].reason, NW_REASON_NOT_LOOKED_UP);
  EXPECT_EQ(host_->read_counters(armed.cgroup_id)->by_reason[NW_REASON_PORT], 1u);
}

TEST_F(NftHostTest, AuditAllowsAndReports) {
  open();
  Policy policy = make_policy({"tcp://a.test:443"});
  policy.mode = Mode::kAudit;
  arm(cgroup_, image_with(policy));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  const std::vector<Event> seen = events();
  ASSERT_FALSE(seen.empty());
  EXPECT_TRUE(seen[0].audit);
  EXPECT_EQ(seen[0].reason, NW_REASON_NOT_LOOKED_UP);
}

TEST_F(NftHostTest, GrantsAndTimesAreRead) {
  open();
  const auto image = image_of({"tcp://a.test:443"});
  arm(cgroup_, image);
  const BootTime before = boot_now();
  ASSERT_EQ(teach(cgroup_, *image, "a.test", {"192.0.2.1"}), NW_REASON_NONE);
  const auto grants = host_->read_grants(id_of(cgroup_));
  ASSERT_TRUE(grants);
  ASSERT_EQ(grants->size(), 1u);
  EXPECT_EQ(grants->front().grant.name.text(), "a.test");
  EXPECT_GE(grants->front().learned, before);
  EXPECT_EQ(host_->find_drift(false)->missing, 0u);
}

TEST_F(NftHostTest, ThousandsOfWorkloadsAreArmedInWellUnderASecond) {
  open();
  const auto image = image_of({"tcp://a.test:443"});
  std::vector<std::unique_ptr<ThrowawayCgroup>> cgroups;
  std::vector<ArmRequest> requests;
  const int count = is_full_size() ? 8000 : 1000;  // each has two descriptors open
  for (int i = 0; i < count; ++i) {
    cgroups.push_back(std::make_unique<ThrowawayCgroup>(cgroup_));
    requests.push_back(request(*cgroups.back(), image));
  }
  const auto begin = thread_time();
  const auto armed = host_->arm(requests);
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(thread_time() - begin);
  for (const auto& one : armed) ASSERT_TRUE(one) << one.error().message();
  EXPECT_LT(took, 900ms);
  RecordProperty("microseconds_each", static_cast<int>(took.count() / count));
}

TEST_F(NftHostTest, OneAddressIsAcknowledgedInMicroseconds) {
  open();
  const auto image = image_of({"tcp://*.test:443"});
  std::vector<std::unique_ptr<ThrowawayCgroup>> cgroups;
  std::vector<ArmRequest> requests;
  const int workloads = is_full_size() ? 1000 : 50, addresses = 200;
  for (int i = 0; i < workloads; ++i) {
    cgroups.push_back(std::make_unique<ThrowawayCgroup>(cgroup_));
    requests.push_back(request(*cgroups.back(), image));
  }
  for (const auto& armed : host_->arm(requests)) ASSERT_TRUE(armed);
  std::vector<std::chrono::nanoseconds> times;
  for (int i = 0; i < workloads; ++i) {
    const std::uint64_t id = id_of(*cgroups[static_cast<std::size_t>(i)]);
    for (int n = 0; n < addresses; ++n) {
      const std::string host = std::to_string(n);
      const BootTime now = boot_now();
      const Lesson lesson = make_lesson(*image, "h" + host + ".test", {"192.0.2." + host}, now + 1h);
      const auto begin = thread_time();
      ASSERT_EQ(host_->teach(id, lesson, now), NW_REASON_NONE);
      times.push_back(thread_time() - begin);
    }
  }
  std::sort(times.begin(), times.end());
  const auto median = times[times.size() / 2];
  RecordProperty("median_nanoseconds", static_cast<int>(median.count()));
  EXPECT_LT(median, 60us);
}

}  // namespace
}  // namespace namewall::kernel_tests
