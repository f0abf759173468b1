// Workloads within workloads, and children that nobody has armed yet.
#include <netinet/in.h>

#include "tests/kernel/support/nft_test.h"

namespace namewall::kernel_tests {
namespace {

using nft::SetId;

class NftNesting : public NftTest {
 protected:
  nft::RulesetPlan plan() const override {
    const auto depth = place_of(cgroup_).depth;
    return {.depths = {depth, depth + 1, depth + 2}, .parent_depths = {}, .redirects_dns = false};
  }
  int tcp_in(const ThrowawayCgroup& cgroup, const std::string& address) {
    return in_cgroup(cgroup, [&] { return tcp_connect(ip(address), 443); });
  }
};

TEST_F(NftNesting, EveryLevelHasToAllow) {
  const ThrowawayCgroup inner(cgroup_), innermost(inner);
  const auto inner_id = place_of(inner).id, innermost_id = place_of(innermost).id;
  enforce(inner_id, 2);
  enforce(innermost_id, 3);
  const auto open = [&](std::uint64_t id, const std::string& address) {
    table_->add({learned(id, "tcp " + address + ":443")});
  };
  for (const auto id : {place_.id, inner_id, innermost_id}) {
    open(id, "192.0.2.1");
    open(id, "[2001:db8::1]");
  }
  for (const auto id : {inner_id, innermost_id}) open(id, "192.0.2.2");
  for (const auto id : {place_.id, innermost_id}) open(id, "192.0.2.3");
  for (const auto id : {place_.id, inner_id}) open(id, "192.0.2.4");
  EXPECT_EQ(tcp_in(innermost, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(innermost, "2001:db8::1"), 0);
  EXPECT_EQ(tcp_in(innermost, "192.0.2.2"), ECONNREFUSED) << "the outermost";
  EXPECT_EQ(tcp_in(innermost, "192.0.2.3"), ECONNREFUSED) << "the middle";
  EXPECT_EQ(tcp_in(innermost, "192.0.2.4"), ECONNREFUSED) << "its own";
  EXPECT_EQ(tcp_in(inner, "192.0.2.4"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.3"), 0);
  EXPECT_EQ(tcp_in(cgroup_, "192.0.2.2"), ECONNREFUSED);
}

TEST_F(NftNesting, EveryLevelHasToLetIn) {
  const ThrowawayCgroup inner(cgroup_);
  const auto inner_id = place_of(inner).id;
  enforce(inner_id, 2);
  const auto reach = [&] {
    Rendezvous turn;
    WorkloadProcess server(inner, [&] {
      const SocketAddress at(ip("0.0.0.0"), 8080);
      const auto listener = make_socket(AF_INET, SOCK_STREAM);
      if (bind(listener.get(), at.get(), at.length) != 0 || listen(listener.get(), 4) != 0)
        return std::string("listen");
      turn.arrive_and_wait();
      return std::string();
    });
    EXPECT_TRUE(turn.await_arrival());
    int result = -1;
    network_.in_far([&] { result = tcp_connect(ip("10.77.0.2"), 8080); });
    turn.release();
    EXPECT_EQ(server.wait(), "");
    return result;
  };
  table_->add({listens(inner_id, IPPROTO_TCP, 8080, 8080)});
  EXPECT_EQ(reach(), ECONNREFUSED);
  table_->add({listens(place_.id, IPPROTO_TCP, 8080, 8080)});
  EXPECT_EQ(reach(), 0);
  table_->remove({listens(inner_id, IPPROTO_TCP, 8080, 8080)});
  EXPECT_EQ(reach(), ECONNREFUSED);
}

TEST_F(NftNesting, OwnLoopbackIsOfTheWorkloadWithinToo) {
  const ThrowawayCgroup inner(cgroup_);
  const auto inner_id = place_of(inner).id;
  enforce(inner_id, 2);
  table_->add({cgroup_in(SetId::kLoopbackOwn, place_.id), own_pair(kToken, place_.id),
               cgroup_in(SetId::kLoopbackOwn, inner_id), own_pair(2, inner_id)});
  const auto talk = [&](const ThrowawayCgroup& from, const ThrowawayCgroup& to) {
    Rendezvous turn;
    WorkloadProcess server(to, [&] {
      const SocketAddress at(ip("127.0.0.1"), 3000);
      const auto listener = make_socket(AF_INET, SOCK_STREAM);
      const int yes = 1;
      setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
      if (bind(listener.get(), at.get(), at.length) != 0 || listen(listener.get(), 4) != 0)
        return std::string("listen");
      turn.arrive_and_wait();
      return std::string();
    });
    EXPECT_TRUE(turn.await_arrival());
    const int result = in_cgroup(from, [] { return tcp_connect(ip("127.0.0.1"), 3000); });
    turn.release();
    EXPECT_EQ(server.wait(), "");
    return result;
  };
  EXPECT_EQ(talk(inner, inner), 0);
  EXPECT_EQ(talk(cgroup_, cgroup_), 0);
  EXPECT_EQ(talk(cgroup_, inner), ECONNREFUSED) << "the inner one takes only its own";
  EXPECT_EQ(talk(inner, cgroup_), ECONNREFUSED) << "the inner one goes only to its own";
}

class NftParents : public NftTest {
 protected:
  nft::RulesetPlan plan() const override {
    const auto depth = place_of(cgroup_).depth;
    return {.depths = {depth, depth + 1}, .parent_depths = {depth}, .redirects_dns = false};
  }
  void SetUp() override {
    NftTest::SetUp();
    parent_ = place_of(parent_cgroup_).id;
    table_->add({cgroup_in(SetId::kParents, parent_)});
  }
  ThrowawayCgroup parent_cgroup_;
  std::uint64_t parent_ = 0;
};

TEST_F(NftParents, FreshChildrenAreRefusedEverything) {
  const ThrowawayCgroup child(parent_cgroup_), grandchild(child);
  for (const auto* cgroup : {&child, &grandchild}) {
    EXPECT_EQ(in_cgroup(*cgroup, [] { return tcp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
    EXPECT_EQ(in_cgroup(*cgroup, [] { return tcp_connect(ip("2001:db8::1"), 443); }), ECONNREFUSED);
    EXPECT_EQ(in_cgroup(*cgroup, [] { return udp_send_to(ip("192.0.2.1"), 53); }), EPERM);
    EXPECT_EQ(in_cgroup(*cgroup, [] { return udp_send_to(ip("127.0.0.1"), 53); }), EPERM);
  }
  const auto counted = table_->list(SetId::kRefused);
  ASSERT_EQ(counted.size(), 1u);
  EXPECT_EQ(counted[0].key, nft::encode_cgroup(parent_)) << "counted for the parent: children come and go";
}

TEST_F(NftParents, ProcessesOfTheParentItselfAreFree) {
  EXPECT_EQ(in_cgroup(parent_cgroup_, [] { return tcp_connect(ip("192.0.2.1"), 443); }), 0);
  EXPECT_EQ(in_cgroup(parent_cgroup_, [] { return udp_send_to(ip("192.0.2.1"), 53); }), 0);
}

TEST_F(NftParents, AnArmedChildHasItsOwnPolicy) {
  const ThrowawayCgroup child(parent_cgroup_), other(parent_cgroup_);
  enforce(place_of(child).id, 2);
  table_->add({learned(place_of(child).id, "tcp 192.0.2.1:443")});
  EXPECT_EQ(in_cgroup(child, [] { return tcp_connect(ip("192.0.2.1"), 443); }), 0);
  EXPECT_EQ(in_cgroup(child, [] { return tcp_connect(ip("192.0.2.2"), 443); }), ECONNREFUSED);
  EXPECT_EQ(in_cgroup(other, [] { return tcp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
}

TEST_F(NftParents, AChildMadeAnewUnderItsNameIsNotOpen) {
  std::optional<ThrowawayCgroup> child(std::in_place, parent_cgroup_);
  enforce(place_of(*child).id, 2);
  table_->add({learned(place_of(*child).id, "tcp 192.0.2.1:443")});
  ASSERT_TRUE(child->remove());
  child.emplace(parent_cgroup_);
  EXPECT_EQ(in_cgroup(*child, [] { return tcp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
}

TEST_F(NftParents, FreshChildrenDoNotReceive) {
  const ThrowawayCgroup child(parent_cgroup_);
  Rendezvous turn;
  WorkloadProcess server(child, [&] {
    const SocketAddress at(ip("0.0.0.0"), 8080);
    const auto listener = make_socket(AF_INET, SOCK_STREAM);
    if (bind(listener.get(), at.get(), at.length) != 0 || listen(listener.get(), 4) != 0) return std::string("listen");
    turn.arrive_and_wait();
    return std::string();
  });
  ASSERT_TRUE(turn.await_arrival());
  network_.in_far([&] { EXPECT_EQ(tcp_connect(ip("10.77.0.2"), 8080), ECONNREFUSED); });
  turn.release();
  EXPECT_EQ(server.wait(), "");
}

TEST_F(NftParents, AFreshChildBelowAWorkloadIsRefusedToo) {
  table_->add({cgroup_in(SetId::kParents, place_.id), learned(place_.id, "tcp 192.0.2.1:443")});
  const ThrowawayCgroup child(cgroup_);
  EXPECT_EQ(in_cgroup(child, [] { return tcp_connect(ip("192.0.2.1"), 443); }), ECONNREFUSED);
  EXPECT_EQ(tcp_inside("192.0.2.1"), 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
