// What one process armed and the next one adopts.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>

#include "tests/kernel/support/host_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Connects without end to one address that is allowed and one that is not; the number of wrong verdicts and of
// connects, once the rendezvous is over.
struct Verdicts {
  std::uint64_t wrong = 0, all = 0;
};

class Hammer {
 public:
  explicit Hammer(const ThrowawayCgroup& cgroup)
      : process_(cgroup, [] {
          signal(SIGUSR1, [](int) { is_over = 1; });
          Verdicts verdicts;
          while (is_over == 0) {
            verdicts.wrong += tcp_connect(ip("192.0.2.1"), 443) != 0;
            verdicts.wrong += tcp_connect(ip("192.0.2.9"), 443) != ECONNREFUSED;
            verdicts.all += 2;
          }
          return std::string(reinterpret_cast<const char*>(&verdicts), sizeof(verdicts));
        }) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  Verdicts stop() {
    kill(process_.pid(), SIGUSR1);
    const std::string bytes = process_.wait();
    Verdicts verdicts;
    if (bytes.size() == sizeof(verdicts)) std::memcpy(&verdicts, bytes.data(), sizeof(verdicts));
    return verdicts;
  }

 private:
  static inline volatile sig_atomic_t is_over = 0;
  WorkloadProcess process_;
};

class HostAdoption : public HostTest {
 protected:
  void SetUp() override {
    HostTest::SetUp();
    zone_.add("example.com", ip("192.0.2.1"), 600);
    serve_zone();
  }
  void kill_holders(int kills);
  ThrowawayCgroup cgroup_;
};

TEST_F(HostAdoption, EnforcementAndGrantsOutliveTheProcess) {
  open();
  const auto armed = arm(cgroup_, {"example.com"});
  ASSERT_TRUE(look_up_in(cgroup_, "example.com").delivered());
  close();
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED);

  open();
  EXPECT_EQ(host_->adoption().workloads, 1u);
  EXPECT_EQ(host_->adoption().live_grants, 1u);
  EXPECT_FALSE(host_->adoption().programs_replaced);
  const auto adopted = host_->find(armed.cgroup_id);
  ASSERT_TRUE(adopted);
  EXPECT_EQ(adopted->workload_id, armed.workload_id);
  EXPECT_EQ(adopted->generation, armed.generation);
  EXPECT_FALSE(adopted->is_known);
  const auto grants = host_->read_grants(armed.cgroup_id);
  ASSERT_TRUE(grants) << grants.error().message();
  ASSERT_EQ(grants->size(), 1u);
  EXPECT_EQ(grants->front().grant.name.text(), "example.com");
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.1"), 0);
  EXPECT_THAT(damage(), IsEmpty());
}

TEST_F(HostAdoption, OnlyThePolicyInForceIsRecognised) {
  open();
  const auto armed = arm(cgroup_, {"example.com"});
  open();
  const auto other = host_->recognise(armed.cgroup_id, "/x", image_of({"other.test"}));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kConflict);
  const auto same = host_->recognise(armed.cgroup_id, "/x", image_of({"example.com"}));
  EXPECT_TRUE(same) << same.error().message();
  EXPECT_TRUE(host_->find(armed.cgroup_id)->is_known);
}

TEST_F(HostAdoption, AnAdoptedPolicyIsReplacedAndItsRulesGo) {
  open();
  const auto armed = arm(cgroup_, {"example.com"});
  open();
  const auto replaced = host_->replace(armed.cgroup_id, image_of({"other.test"}), false);
  ASSERT_TRUE(replaced) << replaced.error().message();
  EXPECT_GT(replaced->generation, armed.generation);
  EXPECT_FALSE(look_up_in(cgroup_, "example.com").delivered());
  std::this_thread::sleep_for(milliseconds(1100));  // the longest that a program may still read the old rules
  const auto kept = host_->keep_house();
  EXPECT_TRUE(kept) << kept.error().message();
  EXPECT_FALSE(look_up_in(cgroup_, "example.com").delivered());
}

TEST_F(HostAdoption, IdsAreNotUsedTwice) {
  open();
  const auto first = arm(cgroup_, {"example.com"});
  ASSERT_TRUE(host_->disarm(cgroup_.fd(), first.cgroup_id));
  open();
  const auto second = arm(cgroup_, {"example.com"});
  EXPECT_GT(second.workload_id, first.workload_id);
  EXPECT_GT(second.generation, first.generation);
}

TEST_F(HostAdoption, WhatWasDisarmedIsNotAdopted) {
  open();
  const auto armed = arm(cgroup_, {"example.com"});
  ASSERT_TRUE(host_->disarm(cgroup_.fd(), armed.cgroup_id));
  open();
  EXPECT_EQ(host_->adoption().workloads, 0u);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), 0);
}

TEST_F(HostAdoption, ACgroupThatWentAwayMeanwhileIsLetGo) {
  open();
  auto gone = std::make_unique<ThrowawayCgroup>();
  arm(*gone, {"example.com"});
  close();
  ASSERT_TRUE(gone->remove());
  open();
  EXPECT_EQ(host_->adoption().workloads, 0u);
  EXPECT_THAT(host_->armed().value(), IsEmpty());
}

class SoakHostAdoption : public HostAdoption {};

void HostAdoption::kill_holders(int kills) {
  open();
  arm(cgroup_, {"example.com"});
  ASSERT_TRUE(look_up_in(cgroup_, "example.com").delivered());
  close();
  Hammer hammer(cgroup_);
  const auto image = image_of({"example.com"});
  const std::uint64_t id = id_of(cgroup_);
  for (int i = 0; i < kills; ++i) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t holder = fork();
    if (holder == 0) {
      auto opened = bpf::HostEnforcer::open(options());
      const char is_open = opened ? 'y' : 'n';
      if (write(ready[1], &is_open, 1) != 1) _exit(1);
      while (opened) {
        (void)opened->replace(id, image, false);
        (void)opened->keep_house();
      }
      _exit(1);
    }
    char is_open = 0;
    EXPECT_EQ(read(ready[0], &is_open, 1), 1);
    EXPECT_EQ(is_open, 'y');
    ::close(ready[0]);
    ::close(ready[1]);
    std::this_thread::sleep_for(milliseconds(1 + i * 7 % 40));
    kill(holder, SIGKILL);
    waitpid(holder, nullptr, 0);
  }
  const Verdicts verdicts = hammer.stop();
  std::printf("%d kills, %llu connects, %llu wrong\n", kills, static_cast<unsigned long long>(verdicts.all),
              static_cast<unsigned long long>(verdicts.wrong));
  EXPECT_EQ(verdicts.wrong, 0u);
  EXPECT_GT(verdicts.all, 100u);
  open();
  EXPECT_EQ(host_->adoption().workloads, 1u);
  EXPECT_EQ(host_->adoption().live_grants, 1u);
}

TEST_F(HostAdoption, KillsOfTheHolderChangeNoVerdict) { kill_holders(15); }
TEST_F(SoakHostAdoption, KillsOfTheHolderChangeNoVerdict) { kill_holders(400); }

TEST_F(HostAdoption, AnUpgradeReplacesThePrograms) {
  open();
  arm(cgroup_, {"example.com"});
  ASSERT_TRUE(look_up_in(cgroup_, "example.com").delivered());
  close();
  Hammer hammer(cgroup_);
  const int upgrades = 5;
  for (int i = 0; i < upgrades; ++i) {
    // The programs of another build, as far as anybody can tell.
    const std::string layer = directory_ + "/v1/layer0";
    for (const auto& entry : std::filesystem::directory_iterator(layer)) {
      if (entry.path().filename().string().rfind("programs-", 0) != 0) continue;
      std::filesystem::rename(entry.path(), layer + "/programs-former");
      break;
    }
    open();
    EXPECT_TRUE(host_->adoption().programs_replaced);
    EXPECT_EQ(host_->adoption().hooks_replaced, 15u);
    EXPECT_EQ(host_->adoption().live_grants, 1u);
    EXPECT_FALSE(std::filesystem::exists(layer + "/programs-former"));
    EXPECT_THAT(damage(), IsEmpty());
    std::printf("longest replacement of a hook: %.3f ms\n",
                static_cast<double>(host_->adoption().longest_replacement.count()) / 1e6);
    close();
  }
  const Verdicts verdicts = hammer.stop();
  std::printf("%d upgrades, %llu connects, %llu wrong\n", upgrades, static_cast<unsigned long long>(verdicts.all),
              static_cast<unsigned long long>(verdicts.wrong));
  EXPECT_EQ(verdicts.wrong, 0u);
}

TEST_F(HostAdoption, AnUnknownVersionIsLeftEnforcing) {
  open();
  arm(cgroup_, {"example.com"});
  close();
  ASSERT_EQ(mkdir((directory_ + "/v99").c_str(), 0700), 0);
  const auto refused = bpf::HostEnforcer::open(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
  EXPECT_THAT(refused.error().message(), HasSubstr("stays enforced"));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), ECONNREFUSED);
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/v99"));
}

TEST_F(HostAdoption, ASecondHolderIsRefused) {
  open();
  const auto second = bpf::HostEnforcer::open(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
  EXPECT_THAT(second.error().message(), HasSubstr("another namewalld"));
}

TEST_F(HostAdoption, SomebodyElsesDirectoryIsRefused) {
  ASSERT_EQ(mkdir(directory_.c_str(), 0700), 0);
  ASSERT_EQ(chown(directory_.c_str(), 64321, 64321), 0);
  const auto refused = bpf::HostEnforcer::open(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
  ASSERT_EQ(chown(directory_.c_str(), 0, 0), 0);
}

TEST_F(HostAdoption, ASymbolicLinkIsRefused) {
  const std::string elsewhere = directory_ + "-elsewhere";
  ASSERT_EQ(mkdir(elsewhere.c_str(), 0700), 0);
  ASSERT_EQ(symlink(elsewhere.c_str(), directory_.c_str()), 0);
  const auto refused = bpf::HostEnforcer::open(options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(unlink(directory_.c_str()), 0);
  EXPECT_EQ(rmdir(elsewhere.c_str()), 0);
}

TEST_F(HostAdoption, TeardownLiftsEverything) {
  open();
  arm(cgroup_, {"example.com"});
  close();
  const auto lifted = bpf::HostEnforcer::teardown_all(options());
  ASSERT_TRUE(lifted) << lifted.error().message();
  EXPECT_THAT(*lifted, testing::Contains(HasSubstr("lifted enforcement of /")));
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.9"), 0);
  EXPECT_FALSE(std::filesystem::exists(directory_));
}

}  // namespace
}  // namespace namewall::kernel_tests
