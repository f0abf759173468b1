// Lessons: what user space learned, put into the kernel's tables beside what the kernel learns itself.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/kernel/support/child_rows.h"
#include "tests/kernel/support/lesson_builder.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class Lessons : public WorkloadTest {
 protected:
  Reason teach(const Lesson& lesson) { return teach_to(workload_, lesson); }
  Reason teach_to(const bpf::Workload& workload, const Lesson& lesson) {
    return enforcer_->teach(workload.cgroup_id, lesson, boot_now());
  }
  Lesson lesson(const Policy& policy, const std::string& name, const std::vector<std::string>& addresses,
                Nanoseconds life = seconds(60)) {
    return make_lesson(compile(policy), name, addresses, boot_now() + life);
  }
  // As many addresses as a workload may hold, and as many others in turn.
  void take_each_others_room(int most) {
    auto policy = make_policy({"example.com"});
    policy.dns.max_addresses = static_cast<std::uint32_t>(most);
    arm(policy);
    for (const int first : {0, most, 0, most}) {
      std::vector<std::string> addresses;
      for (int i = first; i < first + most; ++i) addresses.push_back("198.51.100." + std::to_string(i));
      auto one = lesson(policy, "example.com", addresses);
      for (auto& grant : one.grants) grant.deadline = kNever;
      one.replaces_family = 4;
      EXPECT_EQ(teach(one), NW_REASON_NONE) << "from " << first;
      std::sort(addresses.begin(), addresses.end());
      EXPECT_EQ(granted_addresses(), addresses) << "from " << first;
    }
  }
};

TEST_F(Lessons, OpenWhatTheyTeachAndNothingElse) {
  const auto policy = make_policy({"example.com"});
  arm(policy);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
  EXPECT_EQ(teach(lesson(policy, "example.com", {"192.0.2.1", "2001:db8::1"})), NW_REASON_NONE);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  EXPECT_EQ(tcp_inside(ip("2001:db8::1")), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 8443), ECONNREFUSED);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), ECONNREFUSED);
  EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.1", "2001:db8::1"));
}

TEST_F(Lessons, EndWithTheirDeadlineAndLiveOnWithANewOne) {
  const auto policy = make_policy({"example.com"});
  arm(policy);
  ASSERT_EQ(teach(lesson(policy, "example.com", {"192.0.2.1"}, milliseconds(150))), NW_REASON_NONE);
  ASSERT_EQ(teach(lesson(policy, "example.com", {"192.0.2.2"}, milliseconds(150))), NW_REASON_NONE);
  ASSERT_EQ(teach(lesson(policy, "example.com", {"192.0.2.2"}, seconds(60))), NW_REASON_NONE);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), 0);
  EXPECT_EQ(counter("refreshed"), 1u);
}

TEST_F(Lessons, NeverEndWhereTheirDeadlineIsNever) {
  const auto policy = make_policy({"example.com"});
  arm(policy);
  auto never = lesson(policy, "example.com", {"192.0.2.1"});
  never.grants[0].deadline = kNever;
  ASSERT_EQ(teach(never), NW_REASON_NONE);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  ASSERT_EQ(grants().size(), 1u);
  EXPECT_EQ(grants()[0].grant.deadline, kNever);
}

TEST_F(Lessons, ExplainARefusalByTheirNotes) {
  const auto policy = make_policy({"example.com"});
  arm(policy);
  auto noted = lesson(policy, "example.com", {"10.1.2.3"});
  noted.grants[0].note = NW_REASON_PRIVATE_ANSWER;
  noted.grants[0].ports = 0;
  noted.grants[0].deadline = boot_now();
  ASSERT_EQ(teach(noted), NW_REASON_NONE);
  EXPECT_EQ(tcp_inside(ip("10.1.2.3")), ECONNREFUSED);
  EXPECT_THAT(take_reasons(), ElementsAre("private_answer"));
}

TEST_F(Lessons, OpenPrivateAddressesAsFarAsTheNameMayHaveThem) {
  const auto policy = make_policy({"tcp://open.test:443?private", "tcp://closed.test:443"});
  arm(policy);
  ASSERT_EQ(teach(lesson(policy, "open.test", {"10.1.2.3"})), NW_REASON_NONE);
  ASSERT_EQ(teach(lesson(policy, "closed.test", {"10.1.2.4"})), NW_REASON_NONE);
  EXPECT_EQ(tcp_inside(ip("10.1.2.3")), 0);
  EXPECT_EQ(tcp_inside(ip("10.1.2.4")), ECONNREFUSED);
}

TEST_F(Lessons, AreRefusedWhereTheWorkloadIsAtItsBound) {
  auto policy = make_policy({"*.test"});
  policy.dns.max_addresses = 8;  // 16 slots
  arm(policy);
  Reason reason = NW_REASON_NONE;
  int taught = 0;
  for (int i = 1; i <= 60 && reason == NW_REASON_NONE; ++i, ++taught)
    reason = teach(lesson(policy, "many.test", {"192.0.2." + std::to_string(i)}));
  EXPECT_EQ(reason, NW_REASON_GRANTS_FULL);
  EXPECT_LE(taught, 17);
  EXPECT_EQ(count_of(NW_REASON_GRANTS_FULL), 1u);
}

TEST_F(Lessons, AreRefusedWhereTheNameTableIsFull) {
  auto policy = make_policy({"*.test"});
  policy.dns.max_addresses = 1;
  arm(policy);
  Reason reason = NW_REASON_NONE;
  for (int i = 0; i < 1000 && reason == NW_REASON_NONE; ++i) {
    auto one = lesson(policy, "n" + std::to_string(i) + ".test", {"192.0.2.1"});
    one.grants[0].note = NW_REASON_SPECIAL_ANSWER;  // takes no slot for long
    reason = teach(one);
  }
  EXPECT_EQ(reason, NW_REASON_NAMES_FULL);
}

// More than one run takes, one that needs several for itself, and some that fail.
TEST_F(Lessons, AreTaughtTogetherEachForItself) {
  auto policy = make_policy({"*.test"});
  policy.dns.max_addresses = 1024;
  arm(policy);
  std::vector<Lesson> lessons;
  for (int i = 1; i <= 40; ++i)
    lessons.push_back(lesson(policy, "n" + std::to_string(i) + ".test", {"192.0.2." + std::to_string(i)}));
  std::vector<std::string> many;
  for (int i = 1; i <= 100; ++i) many.push_back("198.51.100." + std::to_string(i));
  lessons[20] = lesson(policy, "many.test", many);
  std::vector<LessonOrder> orders;
  for (const auto& one : lessons) orders.push_back({workload_.cgroup_id, &one});
  orders[7].cgroup_id = workload_.cgroup_id + 1;
  enforcer_->teach_all(orders);
  for (std::size_t i = 0; i < orders.size(); ++i)
    EXPECT_EQ(orders[i].reason, i == 7 ? NW_REASON_NOT_ARMED : NW_REASON_NONE) << i;
  EXPECT_EQ(granted_addresses().size(), 38u + 100u);
}

TEST_F(Lessons, OfARunGoOnBehindOneThatFails) {
  auto policy = make_policy({"*.test"});
  policy.dns.max_addresses = 8;  // 16 slots
  arm(policy);
  std::vector<Lesson> lessons;
  for (int i = 1; i <= 30; ++i) lessons.push_back(lesson(policy, "many.test", {"192.0.2." + std::to_string(i)}));
  std::vector<LessonOrder> orders;
  for (const auto& one : lessons) {
    orders.push_back({workload_.cgroup_id, &one});
    orders.push_back({workload_.cgroup_id, &lessons[0]});  // is in already: never at a bound
  }
  enforcer_->teach_all(orders);
  std::size_t taught = 0, full = 0;
  for (std::size_t i = 0; i < orders.size(); i += 2) {
    taught += orders[i].reason == NW_REASON_NONE;
    full += orders[i].reason == NW_REASON_GRANTS_FULL;
    EXPECT_EQ(orders[i + 1].reason, NW_REASON_NONE) << i;
  }
  EXPECT_EQ(taught + full, 30u);
  EXPECT_GT(full, 10u);
  EXPECT_EQ(granted_addresses().size(), taught);
  EXPECT_EQ(count_of(NW_REASON_GRANTS_FULL), full);
}

TEST_F(Lessons, AreRefusedForWhomIsNotArmed) {
  const auto policy = make_policy({"example.com"});
  arm(policy);
  const auto one = lesson(policy, "example.com", {"192.0.2.1"});
  EXPECT_EQ(enforcer_->teach(workload_.cgroup_id + 1, one, boot_now()), NW_REASON_NOT_ARMED);
  ASSERT_TRUE(enforcer_->disarm(cgroup_.fd(), workload_));
  EXPECT_EQ(teach(one), NW_REASON_NOT_ARMED);
}

TEST_F(Lessons, OfAnAnswerReplaceTheAddressesOfTheOneBefore) {
  const auto policy = make_policy({"example.com", "other.test"});
  arm(policy);
  ASSERT_EQ(teach(lesson(policy, "other.test", {"192.0.2.9"})), NW_REASON_NONE);
  auto first = lesson(policy, "example.com", {"192.0.2.1", "192.0.2.2", "2001:db8::1"});
  for (auto& grant : first.grants) grant.deadline = kNever;
  ASSERT_EQ(teach(first), NW_REASON_NONE);
  auto second = lesson(policy, "example.com", {"192.0.2.2", "192.0.2.3"});
  for (auto& grant : second.grants) grant.deadline = kNever;
  second.replaces_family = 4;
  ASSERT_EQ(teach(second), NW_REASON_NONE);
  EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.2", "192.0.2.3", "192.0.2.9", "2001:db8::1"));
  auto third = lesson(policy, "example.com", {});
  third.replaces_family = 6;
  ASSERT_EQ(teach(third), NW_REASON_NONE);
  EXPECT_THAT(granted_addresses(), ElementsAre("192.0.2.2", "192.0.2.3", "192.0.2.9"));
}

TEST_F(Lessons, OfAnAnswerThatTakesSeveralRunsReplaceExactly) {
  auto policy = make_policy({"example.com"});
  policy.dns.max_addresses = 4096;
  arm(policy);
  const auto addresses = [](int from, int to) {
    std::vector<std::string> list;
    for (int i = from; i < to; ++i)
      list.push_back("198.51." + std::to_string(100 + i / 200) + "." + std::to_string(i % 200));
    return list;
  };
  auto first = lesson(policy, "example.com", addresses(0, 700));
  ASSERT_EQ(teach(first), NW_REASON_NONE);
  ASSERT_EQ(granted_addresses().size(), 700u);
  auto second = lesson(policy, "example.com", addresses(350, 1050));
  std::reverse(second.grants.begin(), second.grants.end());
  second.replaces_family = 4;
  ASSERT_EQ(teach(second), NW_REASON_NONE);
  auto expected = addresses(350, 1050);
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(granted_addresses(), expected);
}

TEST_F(Lessons, OfAnAnswerTakeTheRoomOfWhatTheyReplace) { take_each_others_room(16); }

TEST_F(Lessons, OfAnAnswerThatTakesSeveralRunsTakeTheRoomOfWhatTheyReplace) { take_each_others_room(100); }

TEST_F(Lessons, OfPooledChildrenReplaceTheirOwnOnly) {
  const auto policy = make_policy({"example.com"});
  workload_ = arm_with(cgroup_, policy, {.trusted_netns = {}, .strict = false, .is_template = true});
  ChildRows rows(*enforcer_);
  rows.take_spares();
  const ThrowawayCgroup one(cgroup_), other(cgroup_);
  for (const auto* child : {&one, &other})
    EXPECT_EQ(in_cgroup(*child, [] { return udp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
  for (const auto* child : {&one, &other})
    ASSERT_EQ(enforcer_->teach(id_of(*child), lesson(policy, "example.com", {"192.0.2.1"}), boot_now()),
              NW_REASON_NONE);
  auto second = lesson(policy, "example.com", {"192.0.2.2"});
  second.replaces_family = 4;
  ASSERT_EQ(enforcer_->teach(id_of(one), second, boot_now()), NW_REASON_NONE);
  EXPECT_EQ(in_cgroup(one, [] { return tcp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
  EXPECT_EQ(in_cgroup(one, [] { return tcp_connect(ip("192.0.2.2"), 443); }), 0);
  EXPECT_EQ(in_cgroup(other, [] { return tcp_connect(ip("192.0.2.1"), 443); }), 0);
}

TEST_F(Lessons, WithAnEndEndWhatHadNone) {
  const auto policy = make_policy({"example.com"});
  arm(policy);
  auto never = lesson(policy, "example.com", {"192.0.2.1", "192.0.2.2"});
  for (auto& grant : never.grants) grant.deadline = kNever;
  ASSERT_EQ(teach(never), NW_REASON_NONE);
  ASSERT_EQ(teach(lesson(policy, "example.com", {"192.0.2.1"}, milliseconds(100))), NW_REASON_NONE);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  std::this_thread::sleep_for(milliseconds(150));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), 0);
}

TEST_F(Lessons, AreJudgedByThePolicyThatIsInForceWhenTheyCome) {
  const auto before = make_policy({"tcp://a.test:443", "tcp://b.test:443"});
  const auto after = make_policy({"tcp://a.test:8443"});
  arm(before);
  auto a = lesson(before, "a.test", {"192.0.2.1"}), b = lesson(before, "b.test", {"192.0.2.2"});
  replace(after);
  EXPECT_EQ(teach(a), NW_REASON_NONE);
  EXPECT_EQ(teach(b), NW_REASON_ANSWER_WITHDRAWN);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1"), 8443), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), ECONNREFUSED);
}

TEST_F(Lessons, StayWithTheNewPolicyAsFarAsItAllowsThem) {
  const auto before = make_policy({"a.test", "b.test"});
  arm(before);
  ASSERT_EQ(teach(lesson(before, "a.test", {"192.0.2.1"})), NW_REASON_NONE);
  ASSERT_EQ(teach(lesson(before, "b.test", {"192.0.2.2"})), NW_REASON_NONE);
  replace(make_policy({"a.test"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), ECONNREFUSED);
}

TEST_F(Lessons, AndTheKernelsOwnLearningDoNotLoseEachOthersGrants) {
  for (int i = 0; i < 8; ++i) zone_.add("n" + std::to_string(i) + ".test", ip("192.0.2." + std::to_string(10 + i)));
  serve_zone();
  const auto policy = make_policy({"*.test"});
  arm(policy);
  std::atomic<bool> stop = false;
  std::uint64_t taught = 0, failed = 0;
  std::thread teacher([&] {
    for (std::uint64_t i = 0; !stop; ++i) {
      const auto n = std::to_string(i % 8);
      failed += teach(lesson(policy, "n" + n + ".test", {"198.51.100." + n})) != NW_REASON_NONE;
      (void)enforcer_->teach(workload_.cgroup_id,
                             lesson(policy, "n" + n + ".test", {"198.51.100." + n}, milliseconds(1)), boot_now());
      ++taught;
    }
  });
  const int refused = in_cgroup(cgroup_, [] {
    int wrong = 0;
    for (int i = 0; i < 500; ++i) {
      const auto n = std::to_string(i % 8);
      wrong += !look_up(resolver(), "n" + n + ".test").delivered();
      wrong += udp_connect(ip("192.0.2.1" + n), 443) == 0;  // only TCP is allowed: glibc's way of sorting
      wrong += tcp_connect(ip("192.0.2.1" + n), 443) != 0;
    }
    return wrong;
  });
  stop = true;
  teacher.join();
  EXPECT_EQ(refused, 500);  // the UDP connects, which pass
  EXPECT_EQ(failed, 0u);
  EXPECT_GT(taught, 100u);
}

TEST_F(Lessons, SoakCost) {
  auto policy = make_policy({"*.test"});
  policy.dns.max_addresses = 4096;
  arm(policy);
  const auto image = compile(policy);
  const auto measure = [&](const char* what, int rounds, auto make) {
    std::vector<Lesson> lessons;
    for (int i = 0; i < rounds; ++i) lessons.push_back(make(i));
    const auto start = std::chrono::steady_clock::now();
    for (const auto& one : lessons) ASSERT_EQ(teach(one), NW_REASON_NONE);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    std::printf("%s: %.2f us\n", what, took.count() / rounds);
  };
  const auto at = [](int i) { return "198.51.100." + std::to_string(i); };
  for (int round = 0; round < 3; ++round) {
    measure("1 A known", 20000,
            [&](int) { return make_lesson(image, "known.test", {at(1)}, boot_now() + seconds(60)); });
    measure("1 A new", 200, [&](int i) {
      return make_lesson(image, "new" + std::to_string(round * 200 + i) + ".test",
                         {"203.0." + std::to_string(113 + round) + "." + std::to_string(i)}, boot_now() + seconds(60));
    });
    measure("8 A known", 20000, [&](int) {
      return make_lesson(image, "eight.test", {at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8)},
                         boot_now() + seconds(60));
    });
    measure("1 A replaced", 20000, [&](int) {
      auto one = make_lesson(image, "replaced.test", {at(9)}, boot_now() + seconds(60));
      one.replaces_family = 4;
      return one;
    });
  }
}

}  // namespace
}  // namespace namewall::kernel_tests
