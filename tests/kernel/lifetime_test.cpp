// Enforcement belongs to the cgroup, not to the process that armed it.
#include <signal.h>
#include <sys/wait.h>

#include <fstream>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

class Lifetime : public WorkloadTest {
 protected:
  // Another process loads and arms, then waits to be killed.
  class Loader {
   public:
    Loader(const ThrowawayCgroup& cgroup, const Policy& policy) {
      const auto image = compile(policy);
      pid_ = fork();
      if (pid_ != 0) return;
      auto enforcer = bpf::Enforcer::load({});
      bpf::ArmOptions options;
      options.trusted_netns = {*bpf::netns_cookie()};
      if (!enforcer || !enforcer->arm(cgroup.fd(), image, options)) _exit(1);
      armed_.arrive_and_wait();
      _exit(0);
    }
    ~Loader() { kill_now(); }
    bool await_armed() { return armed_.await_arrival(); }
    void kill_now() {
      if (pid_ <= 0) return;
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      pid_ = -1;
    }

   private:
    pid_t pid_ = -1;
    Rendezvous armed_;
  };

  static int count_programs() {
    int count = 0;
    for (std::uint32_t id = 0; next_program(id); ++count) {
    }
    return count;
  }
  static bool next_program(std::uint32_t& id);
};

bool Lifetime::next_program(std::uint32_t& id) {
  // BPF_PROG_GET_NEXT_ID: the union's first two words are start_id and next_id.
  struct {
    std::uint32_t start_id, next_id, open_flags, pad[29];
  } attr{id, 0, 0, {}};
  if (syscall(321 /* bpf */, 11 /* BPF_PROG_GET_NEXT_ID */, &attr, 12) != 0) return false;
  id = attr.next_id;
  return true;
}

TEST_F(Lifetime, EnforcementAndLearningGoOnAfterTheLoaderIsKilled) {
  zone_.add("example.com", ip("192.0.2.1"), 2);
  zone_.add("later.example.com", ip("192.0.2.2"), 600);
  serve_zone();
  Loader loader(cgroup_, make_policy({"example.com", "*.example.com"}));
  ASSERT_TRUE(loader.await_armed());
  ASSERT_TRUE(look_up_inside("example.com").delivered());
  loader.kill_now();
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0) << "live grants keep working";
  EXPECT_EQ(tcp_inside(ip("203.0.113.66")), ECONNREFUSED);
  EXPECT_EQ(look_up_inside("evil.test").send_error, EPERM);
  EXPECT_TRUE(look_up_inside("later.example.com").delivered()) << "new lookups keep learning";
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED) << "time goes on too";
}

TEST_F(Lifetime, DestroyingTheEnforcerDetachesNothing) {
  arm(make_policy({}));
  enforcer_.reset();
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
}

TEST_F(Lifetime, RemovingTheCgroupFreesThePrograms) {
  enforcer_.reset();
  const int before = count_programs();
  {
    const ThrowawayCgroup cgroup;
    Loader loader(cgroup, make_policy({}));
    ASSERT_TRUE(loader.await_armed());
    loader.kill_now();
    EXPECT_EQ(in_cgroup(cgroup, [] { return tcp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
    EXPECT_GT(count_programs(), before);
  }
  int after = count_programs();
  for (int i = 0; i < 100 && after > before; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    after = count_programs();
  }
  EXPECT_LE(after, before);
}

TEST_F(Lifetime, FailedArmingLeavesTheCgroupAsItWas) {
  auto image = compile(make_policy({"example.com"}));
  image.names.resize(1);
  for (int i = 0; i < 100'000; ++i) {
    auto node = image.names[0];
    node.name = "n" + std::to_string(i) + ".test";
    image.names.push_back(node);
  }
  bpf::ArmOptions options;
  options.trusted_netns = {*bpf::netns_cookie()};
  EXPECT_FALSE(enforcer_->arm(cgroup_.fd(), image, options)) << "more names than there is room for";
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  arm(make_policy({}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
}

TEST_F(Lifetime, MoreWorkloadsThanRoomIsAnErrorAndFreedRoomIsUsedAgain) {
  std::vector<std::unique_ptr<ThrowawayCgroup>> cgroups;
  std::vector<bpf::Workload> workloads;
  for (int i = 0; i < 4; ++i) {
    cgroups.push_back(std::make_unique<ThrowawayCgroup>());
    workloads.push_back(arm_other(*cgroups.back(), make_policy({"tcp://192.0.2.1:443"})));
  }
  bpf::ArmOptions options;
  options.trusted_netns = {*bpf::netns_cookie()};
  const auto one_more = enforcer_->arm(cgroup_.fd(), compile(make_policy({})), options);
  ASSERT_FALSE(one_more);
  EXPECT_EQ(one_more.error().kind, ErrorKind::kLimit);
  EXPECT_EQ(tcp_inside(ip("192.0.2.2")), 0) << "the cgroup is as before";
  ASSERT_TRUE(enforcer_->disarm(cgroups[2]->fd(), workloads[2]));
  arm(make_policy({"tcp://192.0.2.3:443"}));
  EXPECT_NE(workload_.id, workloads[2].id) << "a workload id is never used twice";
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED) << "nothing of the former workload is left";
  EXPECT_EQ(tcp_inside(ip("192.0.2.3")), 0);
}

TEST_F(Lifetime, ReusedSlotForgetsTheGrantsOfTheFormerWorkload) {
  zone_.add("example.com", ip("192.0.2.1"), 600);
  serve_zone();
  bpf::LoadOptions one_slot;
  one_slot.max_workloads = 1;
  auto enforcer = bpf::Enforcer::load(one_slot);
  ASSERT_TRUE(enforcer) << enforcer.error().message();
  enforcer_.emplace(std::move(*enforcer));
  arm(make_policy({"example.com"}));
  ASSERT_TRUE(look_up_inside("example.com").delivered());
  ASSERT_EQ(tcp_inside(ip("192.0.2.1")), 0);
  ASSERT_TRUE(enforcer_->disarm(cgroup_.fd(), workload_));
  arm(make_policy({"example.com"}));
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED);
  EXPECT_TRUE(grants().empty());
}

}  // namespace
}  // namespace namewall::kernel_tests
