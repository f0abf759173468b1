// What the privileged helper does for the DNS proxy in other network namespaces.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cstring>
#include <map>

#include "agent/host/upstream_sockets.h"
#include "nft/conntrack.h"
#include "nft/listing.h"
#include "tests/kernel/support/helper_loop.h"

namespace namewall::kernel_tests {
namespace {

using agent::NetnsProxy;
using agent::NetnsScan;
using agent::PrivilegedHelper;
using agent::ProcessInNetns;

const ResolverAddress kV4{Address::v4({198, 51, 100, 53}), Port{53}};

std::uint64_t own_cookie() {
  const auto cookie = bpf::netns_cookie();
  return cookie ? *cookie : 0;
}

bool bring_loopback_up() {
  const OwnedFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
  return ioctl(any.get(), SIOCSIFFLAGS, &request) == 0;
}

// A process of the cgroup in a network namespace of its own.
class IslandProcess {
 public:
  IslandProcess(const ThrowawayCgroup& cgroup, int namespaces, bool with_loopback) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) ADD_FAILURE() << "pipe";
    const OwnedFd reader(ends[0]);
    OwnedFd writer(ends[1]);
    process_ = std::make_unique<WorkloadProcess>(cgroup, [this, namespaces, with_loopback, fd = writer.get()] {
      const bool ready = unshare(namespaces) == 0 && (!with_loopback || bring_loopback_up());
      const std::uint64_t cookie = ready ? own_cookie() : 0;
      if (write(fd, &cookie, sizeof cookie) != sizeof cookie) return std::string("pipe");
      turn_.arrive_and_wait();
      return std::string();
    });
    writer.reset();
    if (!turn_.await_arrival() || read(reader.get(), &cookie_, sizeof cookie_) != sizeof cookie_ || cookie_ == 0) {
      ADD_FAILURE() << "the process is in no namespace of its own";
    }
  }
  ~IslandProcess() { turn_.release(); }
  std::uint32_t pid() const { return static_cast<std::uint32_t>(process_->pid()); }
  std::uint64_t cookie() const { return cookie_; }
  ProcessInNetns place() const {
    struct stat status {};
    EXPECT_EQ(stat(("/proc/" + std::to_string(pid()) + "/ns/net").c_str(), &status), 0);
    return {status.st_ino, pid()};
  }

 private:
  Rendezvous turn_;
  std::uint64_t cookie_ = 0;
  std::unique_ptr<WorkloadProcess> process_;
};

class ProxyHelperTest : public testing::Test {
 protected:
  Result<NetnsProxy> open(const IslandProcess& process, std::uint64_t cookie) {
    return answer_of<NetnsProxy>(helper_, [&](auto done) {
      helper_.open_proxy(process.pid(), cookie, {kV4, {*parse_address("2001:db8::53"), Port{53}}}, boot_now(),
                         std::move(done));
    });
  }

  ThrowawayCgroup cgroup_;
  PrivilegedHelper helper_ = start_helper();
};

TEST_F(ProxyHelperTest, OpensPlacesInTheNamespaceOfAProcess) {
  const IslandProcess process(cgroup_, CLONE_NEWNET, true);
  const auto opened = open(process, process.cookie());
  ASSERT_TRUE(opened) << opened.error().message();
  ASSERT_EQ(opened->places.size(), 2u);
  for (const auto& place : opened->places) {
    ASSERT_TRUE(place) << place.error().message();
    const auto where = agent::locate(*place);
    ASSERT_TRUE(where);
    EXPECT_EQ(where->netns_cookie, process.cookie());
  }
}

// Also in one that the workload made for itself: what nftables holds must be held everywhere.
TEST_F(ProxyHelperTest, OpensSocketsForATableInTheNamespaceOfAProcess) {
  for (const int namespaces : {CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET}) {
    const IslandProcess process(cgroup_, namespaces, true);
    const auto open_tables = [&](std::uint64_t cookie) {
      return answer_of<nft::NetnsSockets>(
          helper_, [&](auto done) { helper_.open_tables(process.pid(), cookie, boot_now(), std::move(done)); });
    };
    EXPECT_FALSE(open_tables(process.cookie() + 1));
    auto opened = open_tables(process.cookie());
    ASSERT_TRUE(opened) << opened.error().message();
    auto socket = nft::NftSocket::adopt(std::move(opened->nft));
    ASSERT_TRUE(socket) << socket.error().message();
    nft::Batch batch;
    batch.add_table(nft::TableKind::kPlain, "helped");
    const auto made = socket->commit(batch);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_TRUE(made->is_committed());
    EXPECT_TRUE(*nft::read_table(*socket, "helped"));
    auto own = nft::NftSocket::open();
    ASSERT_TRUE(own);
    EXPECT_FALSE(*nft::read_table(*own, "helped")) << "it is in the test's own namespace";
    EXPECT_TRUE(nft::forget_dns_flows(opened->conntrack.get(), std::vector<ResolverAddress>{kV4}, {}));
  }
}

TEST_F(ProxyHelperTest, OpensNothingInAnotherNamespaceThanTheOneNamed) {
  const IslandProcess process(cgroup_, CLONE_NEWNET, true);
  const auto opened = open(process, process.cookie() + 1);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kConflict) << opened.error().message();
}

TEST_F(ProxyHelperTest, OpensNothingInANamespaceThatAWorkloadMadeForItself) {
  const IslandProcess process(cgroup_, CLONE_NEWUSER | CLONE_NEWNET, true);
  const auto opened = open(process, process.cookie());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kPermission) << opened.error().message();
}

TEST_F(ProxyHelperTest, NeverBringsLoopbackUp) {
  const IslandProcess process(cgroup_, CLONE_NEWNET, false);
  const auto opened = open(process, process.cookie());
  ASSERT_TRUE(opened) << opened.error().message();
  for (const auto& place : opened->places) {
    ASSERT_FALSE(place);
    EXPECT_EQ(place.error().kind, ErrorKind::kUnsupported);
  }
}

TEST_F(ProxyHelperTest, MakesSocketsTowardsResolversAheadAndAgain) {
  const IslandProcess process(cgroup_, CLONE_NEWNET, true);
  auto opened = open(process, process.cookie());
  ASSERT_TRUE(opened) << opened.error().message();
  agent::UpstreamSockets sockets(helper_);
  EXPECT_FALSE(sockets.take(process.cookie(), AF_INET, SOCK_DGRAM)) << "not opened";
  std::optional<Result<void>> ready;
  sockets.open(process.cookie(), std::move(opened->netns), [&](Result<void> outcome) { ready = outcome; });
  ASSERT_TRUE(turn_until(helper_, [&] { return ready.has_value(); }));
  ASSERT_TRUE(*ready) << ready->error().message();
  for (std::uint32_t taken = 0; taken < agent::UpstreamSockets::kReady.udp4; ++taken) {
    const auto socket = sockets.take(process.cookie(), AF_INET, SOCK_DGRAM);
    ASSERT_TRUE(socket) << taken;
    std::uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    ASSERT_EQ(getsockopt(socket->get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length), 0);
    EXPECT_EQ(cookie, process.cookie());
  }
  EXPECT_FALSE(sockets.take(process.cookie(), AF_INET, SOCK_DGRAM)) << "none is left";
  EXPECT_TRUE(turn_until(helper_, [&] { return sockets.take(process.cookie(), AF_INET, SOCK_DGRAM).has_value(); }));
  EXPECT_TRUE(sockets.take(process.cookie(), AF_INET6, SOCK_STREAM));
}

TEST_F(ProxyHelperTest, TellsWhoIsInOtherNamespacesAndWhoStillIs) {
  const IslandProcess stays(cgroup_, CLONE_NEWNET, false);
  const IslandProcess untrusted(cgroup_, CLONE_NEWUSER | CLONE_NEWNET, false);
  auto leaves = std::make_unique<IslandProcess>(cgroup_, CLONE_NEWNET, false);
  const std::vector<ProcessInNetns> places = {stays.place(), leaves->place(), {stays.place().inode, leaves->pid()}};
  const auto scan =
      answer_of<NetnsScan>(helper_, [&](auto done) { helper_.scan_namespaces(boot_now(), std::move(done)); });
  ASSERT_TRUE(scan) << scan.error().message();
  std::map<std::uint64_t, ProcessInNetns> found;
  for (const auto& entry : scan->found) found[entry.cookie] = entry.process;
  ASSERT_TRUE(found.contains(stays.cookie()));
  EXPECT_EQ(found[stays.cookie()], places[0]);
  EXPECT_EQ(found[leaves->cookie()], places[1]);
  EXPECT_FALSE(found.contains(untrusted.cookie()));
  EXPECT_FALSE(found.contains(own_cookie()));
  const auto check = [&] {
    return answer_of<std::uint64_t>(helper_,
                                    [&](auto done) { helper_.check_processes(places, boot_now(), std::move(done)); });
  };
  auto there = check();
  ASSERT_TRUE(there);
  EXPECT_EQ(*there, 0b011u) << "the third is in another one";
  leaves.reset();
  there = check();
  ASSERT_TRUE(there);
  EXPECT_EQ(*there, 0b001u);
}

}  // namespace
}  // namespace namewall::kernel_tests
