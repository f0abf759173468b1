// Children of a template: each held apart from its first instruction, with nobody there to arm it.
#include <bpf/bpf.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <deque>

#include "tests/kernel/support/born_process.h"
#include "tests/kernel/support/child_rows.h"
#include "tests/kernel/support/control_message.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::Contains;

constexpr std::uint32_t kFirstSpareSlot = 8;

class Template : public WorkloadTest {
 protected:
  Template() {
    load_options_.max_workloads = 640;
    load_options_.max_children = is_full_size() ? 10'100 : 640;
  }
  void SetUp() override {
    WorkloadTest::SetUp();
    if (!HasFatalFailure()) rows_.emplace(*enforcer_);
  }
  void arm_template(const Policy& policy) {
    workload_ = arm_with(cgroup_, policy, {.trusted_netns = {}, .is_template = true});
  }
  void add_spares(std::uint32_t count, std::uint32_t max_addresses = 64) {
    rows_->add_spares(kFirstSpareSlot, count, max_addresses);
  }
  static LookupOutcome look_up_in(const ThrowawayCgroup& child, const std::string& name) {
    return in_cgroup(child, [&] { return look_up(resolver(), name); });
  }
  static int connect_in(const ThrowawayCgroup& child, const Address& address, std::uint16_t port = 443) {
    return in_cgroup(child, [&] { return tcp_connect(address, port); });
  }
  nw_workload row_of(const ThrowawayCgroup& child) {
    const auto row = rows_->find(id_of(child));
    if (!row) ADD_FAILURE() << "the child has no row";
    return row.value_or(nw_workload{});
  }

  std::optional<ChildRows> rows_;
};

// ---- from the first instruction ----

class FirstInstruction : public Template {
 protected:
  // Each process is born in a cgroup that never existed before; its first acts are a connect that its policy refuses
  // and one that it allows.
  void check(std::uint32_t count) {
    std::uint32_t unrestricted = 0, wrongly_refused = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const ThrowawayCgroup child(cgroup_);
      const int outcome = run_born_in(child.fd(), [] {
        const int refused = tcp_connect(ip("192.0.2.9"), 443), allowed = tcp_connect(ip("192.0.2.1"), 443);
        return (refused == ECONNREFUSED ? 0 : 1) + (allowed == 0 ? 0 : 2);
      });
      unrestricted += (outcome & 1) != 0;
      wrongly_refused += (outcome & 2) != 0;
    }
    std::printf("%u first connects of new children: %u unrestricted, %u wrongly refused\n", count, unrestricted,
                wrongly_refused);
    EXPECT_EQ(unrestricted, 0u);
    EXPECT_EQ(wrongly_refused, 0u);
    EXPECT_LE(far_->connections(), count);
  }
  void close_loader() {
    rows_.reset();
    enforcer_.reset();
  }
  static constexpr std::uint32_t kCount = 500, kSoakCount = 10'000;
  void SetUp() override {
    Template::SetUp();
    if (!HasFatalFailure()) arm_template(make_policy({"tcp://192.0.2.1:443"}));
  }
};

TEST_F(FirstInstruction, IsHeldInTablesOfItsOwn) {
  add_spares(kCount, 2);
  check(kCount);
  EXPECT_EQ(counter("children"), kCount);
  EXPECT_EQ(counter("children_pooled"), 0u);
}

TEST_F(FirstInstruction, IsHeldInThePool) {
  check(kCount);
  EXPECT_EQ(counter("children_pooled"), kCount);
}

TEST_F(FirstInstruction, IsHeldWithTheLoaderDead) {
  add_spares(100, 2);
  close_loader();
  check(kCount);
}

TEST_F(FirstInstruction, SoakIsHeldTenThousandTimes) {
  add_spares(600, 2);
  check(kSoakCount);
}

TEST_F(FirstInstruction, SoakIsHeldTenThousandTimesWithTheLoaderDead) {
  close_loader();
  check(kSoakCount);
}

// Processes of one new child act at the same moment on all CPUs: one row, one set of tables, none lost.
TEST_F(FirstInstruction, OfManyProcessesMakesOneRow) {
  constexpr std::uint32_t kRounds = 60, kProcesses = 6;
  add_spares(kRounds + 4, 2);
  std::uint32_t unrestricted = 0;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const ThrowawayCgroup child(cgroup_);
    std::vector<pid_t> born;
    for (std::uint32_t i = 0; i < kProcesses; ++i) {
      born.push_back(
          start_born_in(child.fd(), [] { return tcp_connect(ip("192.0.2.9"), 443) == ECONNREFUSED ? 0 : 1; }));
    }
    for (const pid_t process : born) unrestricted += wait_for_born(process) != 0;
  }
  EXPECT_EQ(unrestricted, 0u);
  EXPECT_EQ(counter("children"), kRounds);
  EXPECT_EQ(rows_->take_spares(), 4u) << "tables of a row that came second are put back";
}

// ---- bounds ----

class FullTemplate : public Template {
 protected:
  FullTemplate() { load_options_.max_children = 1; }  // two rows: a child with a policy of its own has one beside it
};

TEST_F(FullTemplate, RefusesTheChildThatHasNoRoom) {
  arm_template(make_policy({"tcp://192.0.2.1:443"}));
  const ThrowawayCgroup first(cgroup_), second(cgroup_), third(cgroup_);
  EXPECT_EQ(connect_in(first, ip("192.0.2.1")), 0);
  EXPECT_EQ(connect_in(second, ip("192.0.2.1")), 0);
  EXPECT_EQ(connect_in(third, ip("192.0.2.1")), EPERM) << "no socket at all";
  const auto events = take_events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().reason, NW_REASON_CHILD_NO_ROOM);
  EXPECT_EQ(events.back().cgroup_id, id_of(third));
  EXPECT_GE(count_of(NW_REASON_CHILD_NO_ROOM), 1u);
  EXPECT_EQ(connect_in(first, ip("192.0.2.1")), 0) << "the others keep what they have";
  replace(make_policy({"tcp://192.0.2.2:443"}));
  EXPECT_EQ(connect_in(first, ip("192.0.2.2")), 0) << "a full map still takes a new policy";
}

// ---- apart from each other ----

class Siblings : public Template, public testing::WithParamInterface<const char*> {
 protected:
  bool in_pool() const { return std::string(GetParam()) == "pool"; }
  void arm_siblings(Policy policy) {
    policy.dns.max_addresses = 64;
    arm_template(policy);
    if (!in_pool()) add_spares(8);
  }
  const ThrowawayCgroup one_{cgroup_}, other_{cgroup_};
};

TEST_P(Siblings, DoNotShareGrants) {
  zone_.add("example.com", ip("192.0.2.1"));
  serve_zone();
  arm_siblings(make_policy({"example.com"}));
  EXPECT_TRUE(look_up_in(one_, "example.com").delivered());
  EXPECT_EQ(connect_in(one_, ip("192.0.2.1")), 0);
  EXPECT_EQ(connect_in(other_, ip("192.0.2.1")), ECONNREFUSED);
  EXPECT_TRUE(look_up_in(other_, "example.com").delivered());
  EXPECT_EQ(connect_in(other_, ip("192.0.2.1")), 0);
  EXPECT_EQ((row_of(one_).flags & NW_FLAG_POOLED) != 0, in_pool());
  EXPECT_NE(row_of(one_).workload_id, row_of(other_).workload_id);
  EXPECT_NE(row_of(one_).seed, row_of(other_).seed);
}

TEST_P(Siblings, DoNotShareGrantsWithTheTablesFull) {
  const auto address = [](int i) { return ip("192.0.2." + std::to_string(i + 1)); };
  for (int i = 0; i < 64; ++i) zone_.add("n" + std::to_string(i) + ".example.com", address(i));
  serve_zone();
  arm_siblings(make_policy({"*.example.com"}));
  const auto learned = in_cgroup(one_, [] {
    int count = 0;
    for (int i = 0; i < 64; ++i) {
      count += look_up(resolver(), "n" + std::to_string(i) + ".example.com", 1, milliseconds(20)).delivered();
    }
    return count;
  });
  EXPECT_GE(learned, in_pool() ? 36 : 56) << "the pool has 12 buckets, of which one child may have half";
  const auto reached = in_cgroup(other_, [&] {
    int count = 0;
    for (int i = 0; i < 64; ++i) count += udp_connect(address(i), 443) == 0;
    return count;
  });
  EXPECT_EQ(reached, 0);
}

TEST_P(Siblings, LeaveEachOtherTheirShare) {
  for (int i = 0; i < 100; ++i) {
    zone_.add("n" + std::to_string(i) + ".example.com", ip("192.0.2." + std::to_string(i + 1)));
  }
  serve_zone();
  arm_siblings(make_policy({"*.example.com"}));
  const auto learn = [](int first, int end) {
    int count = 0;
    for (int i = first; i < end; ++i) {
      const auto name = "n" + std::to_string(i) + ".example.com";
      count += look_up(resolver(), name, 1, milliseconds(20)).delivered();
    }
    return count;
  };
  const int greedy = in_cgroup(one_, [&] { return learn(0, 76); });
  const int modest = in_cgroup(other_, [&] { return learn(76, 100); });
  std::printf("%s: one child learned %d of 76, then another %d of 24\n", GetParam(), greedy, modest);
  EXPECT_LE(greedy, in_pool() ? 48 : 76);
  EXPECT_GE(modest, 21);
}

TEST_P(Siblings, DoNotMeetOnLoopback) {
  auto policy = make_policy({});
  policy.loopback = Loopback::kOwn;
  arm_siblings(policy);
  Rendezvous turn;
  WorkloadProcess server(one_, [&] {
    const SocketAddress at(ip("127.0.0.1"), 3000);
    const auto tcp = make_socket(AF_INET, SOCK_STREAM), udp = make_socket(AF_INET, SOCK_DGRAM);
    const bool bound = bind(tcp.get(), at.get(), at.length) == 0 && listen(tcp.get(), 8) == 0 &&
                       bind(udp.get(), at.get(), at.length) == 0;
    const bool met_itself = tcp_connect(ip("127.0.0.1"), 3000) == 0 && udp_send_to(ip("127.0.0.1"), 3000) == 0;
    receive(udp.get(), milliseconds(0));
    turn.arrive_and_wait();
    return std::string(bound && met_itself && !receive(udp.get(), milliseconds(20)) ? "apart" : "met");
  });
  ASSERT_TRUE(turn.await_arrival());
  EXPECT_EQ(connect_in(other_, ip("127.0.0.1"), 3000), ECONNREFUSED);
  EXPECT_EQ(in_cgroup(other_, [] { return udp_send_to(ip("127.0.0.1"), 3000); }), ECONNREFUSED);
  turn.release();
  EXPECT_EQ(server.wait(), "apart");
}

TEST_P(Siblings, AreNamedInTheirEvents) {
  arm_siblings(make_policy({}));
  EXPECT_EQ(connect_in(one_, ip("192.0.2.1")), ECONNREFUSED);
  EXPECT_FALSE(look_up_in(other_, "evil.test").answered);
  const auto events = take_events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].cgroup_id, id_of(one_));
  EXPECT_EQ(events[0].workload_id, row_of(one_).workload_id);
  EXPECT_EQ(events[0].reason, NW_REASON_NOT_LOOKED_UP);
  EXPECT_EQ(events[1].cgroup_id, id_of(other_));
  EXPECT_EQ(events[1].reason, NW_REASON_NAME_NOT_ALLOWED);
}

// The verdict is by the cgroup that made the socket, whoever uses it.
TEST_P(Siblings, KeepTheirOwnVerdictOnSocketsThatArePassed) {
  zone_.add("example.com", ip("192.0.2.1"));
  serve_zone();
  arm_siblings(make_policy({"example.com"}));
  ASSERT_TRUE(look_up_in(one_, "example.com").delivered());
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
  const OwnedFd giver(ends[0]), taker(ends[1]);
  const auto connect_taken = [&] {
    const OwnedFd taken = receive_socket(taker.get());
    const SocketAddress to(ip("192.0.2.1"), 443);
    return connect(taken.get(), to.get(), to.length) == 0 ? 0 : errno;
  };
  const auto make_and_give = [&] { return pass_socket(giver.get(), make_socket(AF_INET, SOCK_STREAM).get()); };
  ASSERT_TRUE(in_cgroup(one_, make_and_give));
  EXPECT_EQ(in_cgroup(other_, connect_taken), 0) << "a socket of the child that looked the name up";
  ASSERT_TRUE(in_cgroup(other_, make_and_give));
  EXPECT_EQ(in_cgroup(one_, connect_taken), ECONNREFUSED) << "a socket of the child that did not";
}

INSTANTIATE_TEST_SUITE_P(, Siblings, testing::Values("own_tables", "pool"),
                         [](const auto& each) { return std::string(each.param); });

// ---- policies ----

class TemplatePolicy : public Template {
 protected:
  void SetUp() override {
    Template::SetUp();
    if (HasFatalFailure()) return;
    zone_.add("kept.example", ip("192.0.2.1"));
    zone_.add("dropped.example", ip("192.0.2.2"));
    serve_zone();
  }
  const ThrowawayCgroup one_{cgroup_}, pooled_{cgroup_};
};

TEST_F(TemplatePolicy, ReplacedChangesAllChildrenAndKeepsTheirGrants) {
  arm_template(make_policy({"kept.example", "dropped.example"}));
  add_spares(1);
  for (const auto* child : {&one_, &pooled_}) {
    ASSERT_TRUE(look_up_in(*child, "kept.example").delivered());
    ASSERT_TRUE(look_up_in(*child, "dropped.example").delivered());
    EXPECT_EQ(connect_in(*child, ip("192.0.2.2")), 0);
  }
  const auto before = row_of(one_);
  replace(make_policy({"kept.example", "new.example", "tcp://192.0.2.7:443"}));
  for (const auto* child : {&one_, &pooled_}) {
    EXPECT_EQ(connect_in(*child, ip("192.0.2.1")), 0) << "without another lookup";
    EXPECT_EQ(connect_in(*child, ip("192.0.2.2")), ECONNREFUSED);
    EXPECT_EQ(connect_in(*child, ip("192.0.2.7")), 0);
  }
  const auto after = row_of(one_);
  EXPECT_EQ(after.workload_id, before.workload_id);
  EXPECT_EQ(after.slot, before.slot);
  EXPECT_EQ(after.seed, before.seed);
  EXPECT_GT(after.generation, before.generation);
}

TEST_F(TemplatePolicy, ReplacedOnlyInItsFlagsChangesTheChildrenToo) {
  arm_template(make_policy({"kept.example"}));
  ASSERT_TRUE(look_up_in(one_, "kept.example").delivered());
  EXPECT_EQ(row_of(one_).flags & NW_FLAG_STRICT, 0u);
  nw_workload config;
  const std::uint64_t id = id_of(cgroup_);
  ASSERT_EQ(bpf_map_lookup_elem(enforcer_->map_fd("workloads"), &id, &config), 0);
  config.flags |= NW_FLAG_STRICT;
  ASSERT_EQ(bpf_map_update_elem(enforcer_->map_fd("workloads"), &id, &config, BPF_EXIST), 0);
  EXPECT_EQ(connect_in(one_, ip("192.0.2.1")), 0);
  EXPECT_NE(row_of(one_).flags & NW_FLAG_STRICT, 0u);
  config.mode = NW_MODE_DENY;
  ASSERT_EQ(bpf_map_update_elem(enforcer_->map_fd("workloads"), &id, &config, BPF_EXIST), 0);
  EXPECT_EQ(connect_in(one_, ip("192.0.2.1")), EPERM);
}

TEST_F(TemplatePolicy, IsBeatenByTheChildsOwn) {
  arm_template(make_policy({"kept.example"}));
  add_spares(1);
  for (const auto* child : {&one_, &pooled_}) ASSERT_TRUE(look_up_in(*child, "kept.example").delivered());
  rows_->write_own(id_of(one_), compile(make_policy({"kept.example", "tcp://192.0.2.8:443"})));
  EXPECT_EQ(connect_in(one_, ip("192.0.2.8")), 0);
  EXPECT_EQ(connect_in(one_, ip("192.0.2.1")), 0) << "what it learned before stays";
  EXPECT_EQ(connect_in(pooled_, ip("192.0.2.8")), ECONNREFUSED);
  replace(make_policy({"tcp://192.0.2.9:443"}));
  EXPECT_EQ(connect_in(one_, ip("192.0.2.8")), 0) << "a replaced template does not touch it";
  EXPECT_EQ(connect_in(one_, ip("192.0.2.9")), ECONNREFUSED);
  EXPECT_EQ(connect_in(pooled_, ip("192.0.2.9")), 0);
  EXPECT_EQ(connect_in(pooled_, ip("192.0.2.1")), ECONNREFUSED);
  rows_->remove_own(id_of(one_));
  EXPECT_EQ(connect_in(one_, ip("192.0.2.8")), ECONNREFUSED);
  EXPECT_EQ(connect_in(one_, ip("192.0.2.9")), 0) << "the template's again";
}

TEST_F(TemplatePolicy, DoesNotHoldTheTemplatesOwnProcesses) {
  arm_template(make_policy({}));
  EXPECT_EQ(connect_in(cgroup_, ip("192.0.2.5")), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_send_to(ip("2001:db8::5"), 443); }), 0);
  EXPECT_TRUE(look_up_in(cgroup_, "kept.example").delivered());
  EXPECT_TRUE(in_cgroup(cgroup_, [] { return static_cast<bool>(make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }));
  EXPECT_EQ(connect_in(one_, ip("192.0.2.5")), ECONNREFUSED);
  EXPECT_FALSE(in_cgroup(one_, [] { return static_cast<bool>(make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }));
}

TEST_F(TemplatePolicy, HoldsWhatIsDeeperWithItsDirectChild) {
  arm_template(make_policy({"kept.example"}));
  std::deque<ThrowawayCgroup> path;
  path.emplace_back(one_);
  for (int depth = 0; depth < 6; ++depth) path.emplace_back(path.back());
  ASSERT_TRUE(look_up_in(path.back(), "kept.example").delivered());
  EXPECT_EQ(connect_in(one_, ip("192.0.2.1")), 0);
  EXPECT_EQ(connect_in(path.front(), ip("192.0.2.1")), 0);
  EXPECT_EQ(connect_in(path.back(), ip("192.0.2.2")), ECONNREFUSED);
  EXPECT_EQ(connect_in(pooled_, ip("192.0.2.1")), ECONNREFUSED);
  EXPECT_FALSE(rows_->find(id_of(path.back())));
  while (!path.empty()) path.pop_back();
}

TEST_F(TemplatePolicy, InAuditOnlyReports) {
  auto policy = make_policy({});
  policy.mode = Mode::kAudit;
  arm_template(policy);
  EXPECT_EQ(connect_in(one_, ip("192.0.2.5")), 0);
  const auto events = take_events();
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(events[0].audit);
  EXPECT_EQ(events[0].cgroup_id, id_of(one_));
}

// What a row costs against a workload with programs of its own. The bound is far off: it is for blunders.
TEST_F(TemplatePolicy, CostsLittleMoreThanAWorkload) {
  arm_template(make_policy({"udp://192.0.2.1:443"}));
  add_spares(4);
  const ThrowawayCgroup plain, below(one_);
  arm_other(plain, make_policy({"udp://192.0.2.1:443"}));
  const auto nanoseconds_in = [](const ThrowawayCgroup& cgroup, bool sends) {
    return in_cgroup(cgroup, [sends] {
      constexpr int kActs = 5'000;
      const auto cpu_time = [] {
        timespec now{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
      };
      const SocketAddress to(ip("192.0.2.1"), 443);
      const auto client = make_socket(AF_INET, SOCK_DGRAM);
      if (connect(client.get(), to.get(), to.length) != 0) return -1.0;
      const double begin = cpu_time();
      for (int i = 0; i < kActs; ++i) {
        if (sends ? send(client.get(), "x", 1, 0) != 1 : connect(client.get(), to.get(), to.length) != 0) return -1.0;
      }
      return (cpu_time() - begin) / kActs;
    });
  };
  for (const bool sends : {false, true}) {
    constexpr int kRounds = 7;
    std::vector<double> times[3];
    for (int round = 0; round < kRounds; ++round) {
      const ThrowawayCgroup* cgroups[] = {&plain, &one_, &below};
      for (int i = 0; i < 3; ++i) {
        times[i].push_back(nanoseconds_in(*cgroups[i], sends));
        ASSERT_GT(times[i].back(), 0);
      }
    }
    for (auto& each : times) std::sort(each.begin(), each.end());
    const double workload = times[0][0];
    std::printf("UDP %s: workload %.0f ns, template's child x%.2f, one level deeper x%.2f (best of %d)\n",
                sends ? "send" : "connect", workload, times[1][0] / workload, times[2][0] / workload, kRounds);
    EXPECT_LT(times[1][0], 3 * workload);
  }
}

// The kernel makes the sockets beneath an MPTCP one.
TEST_F(TemplatePolicy, HoldsMultipathConnectionsToo) {
  arm_template(make_policy({"tcp://192.0.2.1:443"}));
  const auto connect_in_child = [&](const char* address) {
    return in_cgroup(one_, [&] {
      const SocketAddress to(ip(address), 443);
      const auto client = make_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 262);
      if (!client) return 10'000 + errno;
      if (connect(client.get(), to.get(), to.length) == 0) return 0;
      return errno == EINPROGRESS ? wait_for_tcp(client.get(), milliseconds(1000)) : errno;
    });
  };
  EXPECT_EQ(connect_in_child("192.0.2.1"), 0);
  EXPECT_EQ(connect_in_child("192.0.2.9"), ECONNREFUSED);
}

}  // namespace
}  // namespace namewall::kernel_tests
