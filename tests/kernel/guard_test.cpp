// A guard: no sockets in cgroups below it that nobody has armed.
#include <fcntl.h>
#include <sys/stat.h>

#include "bpf/cgroup_handle.h"
#include "bpf/map_access.h"
#include "tests/kernel/support/born_process.h"
#include "tests/kernel/support/child_rows.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

class Guard : public WorkloadTest {
 protected:
  Guard() { load_options_.max_children = 8; }
  void attach(const char* program) {
    ASSERT_EQ(
        bpf_prog_attach(enforcer_->program_fd(program), cgroup_.fd(), BPF_CGROUP_INET_SOCK_CREATE, BPF_F_ALLOW_MULTI),
        0);
  }
  void set_guard() {
    const auto identity = bpf::identify_cgroup(cgroup_.fd());
    ASSERT_TRUE(identity);
    attach("namewall_prepare_guard");
    nw_guard guard{};
    guard.level = identity->level;
    guard.is_set = 1;
    guard.cgroup_id = identity->id;
    ASSERT_EQ(bpf_map_update_elem(enforcer_->map_fd("guards"), &identity->id, &guard, BPF_ANY), 0);
    attach("namewall_guard");
    ASSERT_EQ(
        bpf_prog_detach2(enforcer_->program_fd("namewall_prepare_guard"), cgroup_.fd(), BPF_CGROUP_INET_SOCK_CREATE),
        0);
  }
  void mark_armed(const ThrowawayCgroup& cgroup) {
    const std::uint64_t id = id_of(cgroup);
    const std::uint8_t yes = 1;
    ASSERT_EQ(bpf_map_update_elem(enforcer_->map_fd("armed_cgroups"), &id, &yes, BPF_ANY), 0);
  }
  static int socket_in(const ThrowawayCgroup& cgroup, int type = SOCK_STREAM) {
    return run_born_in(cgroup.fd(), [type] { return make_socket(AF_INET, type) ? 0 : errno; });
  }
};

TEST_F(Guard, RefusesSocketsInAChildThatNobodyArmed) {
  set_guard();
  const ThrowawayCgroup child(cgroup_), below(child);
  EXPECT_EQ(socket_in(child), EPERM);
  EXPECT_EQ(socket_in(child, SOCK_DGRAM), EPERM);
  EXPECT_EQ(socket_in(below), EPERM);
  const auto events = take_events();
  ASSERT_EQ(events.size(), 1u) << "one a second";
  EXPECT_EQ(events[0].reason, NW_REASON_UNARMED_CHILD);
  EXPECT_EQ(events[0].cgroup_id, id_of(child));
  EXPECT_NE(events[0].pid, 0u);
}

TEST_F(Guard, LetsArmedChildrenAndWhatIsBelowThemPass) {
  set_guard();
  const ThrowawayCgroup child(cgroup_), below(child), sibling(cgroup_);
  mark_armed(child);
  EXPECT_EQ(socket_in(child), 0);
  EXPECT_EQ(socket_in(below), 0);
  EXPECT_EQ(socket_in(sibling), EPERM);
}

TEST_F(Guard, LetsACgroupPassThatIsArmedBelowAnUnarmedOne) {
  set_guard();
  const ThrowawayCgroup between(cgroup_), armed(between);
  mark_armed(armed);
  EXPECT_EQ(socket_in(armed), 0);
  EXPECT_EQ(socket_in(between), EPERM);
}

TEST_F(Guard, LetsChildrenOfATemplatePass) {
  workload_ = arm_with(cgroup_, make_policy({"tcp://192.0.2.1:443"}), {.trusted_netns = {}, .is_template = true});
  set_guard();
  const ThrowawayCgroup child(cgroup_);
  EXPECT_EQ(run_born_in(child.fd(), [] { return tcp_connect(ip("192.0.2.1"), 443); }), 0);
  EXPECT_EQ(run_born_in(child.fd(), [] { return tcp_connect(ip("192.0.2.2"), 443); }), ECONNREFUSED);
}

TEST_F(Guard, DoesNotTouchItsOwnCgroupOrNeighbours) {
  set_guard();
  const ThrowawayCgroup neighbour;
  EXPECT_EQ(socket_in(cgroup_), 0);
  EXPECT_EQ(socket_in(neighbour), 0);
}

TEST_F(Guard, RefusesEverythingWhileItIsNotSet) {
  attach("namewall_guard");
  const ThrowawayCgroup child(cgroup_);
  EXPECT_EQ(socket_in(child), EPERM);
  EXPECT_EQ(socket_in(cgroup_), EPERM);
}

TEST_F(Guard, HoldsWithTheLoaderDead) {
  set_guard();
  enforcer_.reset();
  std::uint32_t made = 0;
  for (int i = 0; i < 200; ++i) {
    const ThrowawayCgroup child(cgroup_);
    made += socket_in(child) != EPERM;
  }
  EXPECT_EQ(made, 0u);
}

TEST_F(Guard, LeavesSocketsAloneThatWereMadeOutside) {
  set_guard();
  const ThrowawayCgroup child(cgroup_);
  const auto passed = make_socket(AF_INET, SOCK_DGRAM);
  const SocketAddress to(ip("192.0.2.1"), 443);
  EXPECT_EQ(run_born_in(child.fd(), [&] { return connect(passed.get(), to.get(), to.length) == 0 ? 0 : errno; }), 0);
}

// Levels that the program does not walk are refused.
TEST_F(Guard, RefusesWhatIsTooDeepToBeSeen) {
  set_guard();
  std::vector<std::string> path{cgroup_.path()};
  std::vector<int> outcomes;
  const ThrowawayCgroup armed(cgroup_);
  mark_armed(armed);
  path.back() = armed.path();
  for (int depth = 1; depth <= 34; ++depth) {
    path.push_back(path.back() + "/d");
    ASSERT_EQ(mkdir(path.back().c_str(), 0755), 0);
    const OwnedFd directory(open(path.back().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    outcomes.push_back(run_born_in(directory.get(), [] { return make_socket(AF_INET, SOCK_STREAM) ? 0 : errno; }));
  }
  EXPECT_EQ(outcomes[30], 0) << "31 below the armed one";
  EXPECT_EQ(outcomes[33], EPERM);
}

}  // namespace
}  // namespace namewall::kernel_tests
