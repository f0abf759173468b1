#include "agent/control/access.h"

#include <gtest/gtest.h>

#include "agent/control/routes.h"

#include "tests/unit/agent/control/fake_host.h"
#include "tests/unit/agent/control/fake_peers.h"
#include "tests/unit/agent/control/served_control.h"

namespace namewall::agent {
namespace {

constexpr AccessRules kRules{.own_uid = 990, .readers_gid = kReaders};

struct Rights {
  bool own, read, change;
  friend bool operator==(const Rights&, const Rights&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Rights& rights) {
    return out << rights.own << rights.read << rights.change;
  }
};

Rights rights_of(const FakePeer& peer, const AccessRules& rules = kRules) {
  FakeHost host;
  const FakePeerIdentity identity(peer);
  return {admit(identity, Right::kOwn, rules, host).has_value(), admit(identity, Right::kRead, rules, host).has_value(),
          admit(identity, Right::kChange, rules, host).has_value()};
}

TEST(AccessTest, RootMayChangeReadersMayReadAndAnyProcessMayAskForItsOwn) {
  EXPECT_EQ(rights_of({.uid = 0}), (Rights{true, true, true}));
  EXPECT_EQ(rights_of({.uid = 990}), (Rights{true, true, false}));
  EXPECT_EQ(rights_of({.uid = 1000, .groups = {100, kReaders}}), (Rights{true, true, false}));
  EXPECT_EQ(rights_of({.uid = 1000, .groups = {0, 100}}), (Rights{true, false, false}));
}

TEST(AccessTest, NobodyReadsByGroupWhereThereIsNoReadersGroup) {
  EXPECT_EQ(rights_of({.uid = 1000, .groups = {0, kReaders}}, {.own_uid = 990, .readers_gid = std::nullopt}),
            (Rights{true, false, false}));
}

TEST(AccessTest, RootInsideAWorkloadMayAskOnlyForItsOwn) {
  EXPECT_EQ(rights_of({.uid = 0, .cgroup = "/confined/job"}), (Rights{true, false, false}));
  EXPECT_EQ(rights_of({.uid = 990, .cgroup = "/confined"}), (Rights{true, false, false}));
  EXPECT_EQ(rights_of({.uid = 1000, .groups = {kReaders}, .cgroup = "/confined"}), (Rights{true, false, false}));
}

TEST(AccessTest, APeerThatCannotBePlacedMayAskForNothing) {
  EXPECT_EQ(rights_of({.uid = 0, .gone = true}), (Rights{false, false, false}));
}

TEST(AccessTest, ConnectionsOfAWorkloadAreItsOwnShareWhoeverItRunsAs) {
  FakeHost host;
  const auto holder = [&](const FakePeer& peer) { return find_holder(FakePeerIdentity(peer), kRules, host); };
  EXPECT_EQ(holder({.uid = 0}), "");
  EXPECT_EQ(holder({.uid = 1000, .groups = {kReaders}}), "");
  EXPECT_EQ(holder({.uid = 1000}), "user 1000");
  EXPECT_EQ(holder({.uid = 0, .cgroup = "/confined/a"}), "workload confined/a");
  EXPECT_EQ(holder({.uid = 0, .gone = true}), "user 0");
}

TEST(AccessTest, ConnectionsOfRestrictionsAreTheirUsersShare) {
  FakeHost host;
  host.confined_prefix = "/restrict:";
  const auto holder = [&](const FakePeer& peer) { return find_holder(FakePeerIdentity(peer), kRules, host); };
  EXPECT_EQ(holder({.uid = 1000, .cgroup = "/restrict:1000-1"}), "user 1000") << "a user has as many as it likes";
  EXPECT_EQ(holder({.uid = 1001, .cgroup = "/restrict:1000-1"}), "user 1001");
}

using AccessOverHttpTest = ServedControl;

TEST_F(AccessOverHttpTest, RefusesEveryRouteToThoseWithoutItsRight) {
  start();
  for (const FakePeer& peer : {FakePeer{.uid = 0, .cgroup = "/confined/job"}, FakePeer{.uid = 1000}}) {
    peers_.become(peer);
    for (const Route& route : routes()) {
      std::string target(route.path);
      if (const std::size_t at = target.find("{name}"); at != std::string::npos) target.replace(at, 6, "other");
      const HttpAnswer answer = ask(std::string(route.method), target);
      const int own = route.endpoint == Endpoint::kRestrict ? 400 : 200;  // it needs a body
      EXPECT_EQ(answer.status, route.right == Right::kOwn ? own : 403) << route.method << " " << target;
    }
    EXPECT_EQ(send("POST", "/v1/explain", R"({"workload": "other"})").status, 403);
    EXPECT_EQ(send("POST", "/v1/explain", R"({"target": "x:1"})").json()["workload"], "own of " + peer.cgroup);
  }
  EXPECT_TRUE(host_.calls().empty());
}

TEST_F(AccessOverHttpTest, RefusesAChangeBeforeItsBodyIsSent) {
  start();
  peers_.become({.uid = 1000});
  RawClient client(path_);
  ASSERT_TRUE(client.send("PUT /v1/workloads/ci HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"));
  const auto answer = client.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error_code(), "not_permitted");
  EXPECT_TRUE(client.is_closed());
}

}  // namespace
}  // namespace namewall::agent
