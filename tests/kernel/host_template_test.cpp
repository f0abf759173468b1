// Templates of a pinned host: children that appear with and without a daemon, and those with a policy of their own.
#include "tests/kernel/support/host_test.h"

namespace namewall::kernel_tests {
namespace {

class HostTemplate : public HostTest {
 protected:
  void SetUp() override {
    HostTest::SetUp();
    zone_.add("example.com", ip("192.0.2.1"), 600);
    serve_zone();
    open();
    auto wanted = request(parent_, {"example.com", "tcp://192.0.2.2:443"});
    wanted.options.children = Children::kApart;
    const auto armed = host_->arm({wanted}).front();
    ASSERT_TRUE(armed) << armed.error().message();
    EXPECT_TRUE(armed->is_template);
  }
  std::uint64_t counter(const std::string& wanted) const {  // of the template
    const auto counters = host_->read_counters(id_of(parent_));
    if (!counters) {
      ADD_FAILURE() << counters.error().message();
      return 0;
    }
    for (const auto& [name, value] : counters->counters) {
      if (name == wanted) return value;
    }
    ADD_FAILURE() << "no counter " << wanted;
    return 0;
  }
  ThrowawayCgroup parent_, child_{parent_}, sibling_{parent_};
};

TEST_F(HostTemplate, ChildrenThatAppearWithoutAnybodyAreHeldApart) {
  close();
  ASSERT_TRUE(look_up_in(child_, "example.com").delivered());
  EXPECT_EQ(tcp_in(child_, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(sibling_, "192.0.2.1"), ECONNREFUSED) << "what one child learns opens nothing for another";
  EXPECT_EQ(tcp_in(sibling_, "192.0.2.2"), 0);
  open();
  EXPECT_EQ(host_->adoption().workloads, 1u);
  EXPECT_EQ(host_->adoption().live_grants, 1u);
  const auto child = host_->find(id_of(child_));
  ASSERT_TRUE(child);
  EXPECT_TRUE(child->is_child);
  EXPECT_EQ(child->template_id, id_of(parent_));
  EXPECT_EQ(host_->armed().value().size(), 3u);
  const auto grants = host_->read_grants(id_of(child_));
  ASSERT_TRUE(grants) << grants.error().message();
  EXPECT_EQ(grants->size(), 1u);
  EXPECT_TRUE(host_->read_counters(id_of(sibling_)));
}

TEST_F(HostTemplate, AChildsOwnPolicyKeepsWhatItLearned) {
  ASSERT_TRUE(look_up_in(child_, "example.com").delivered());
  const auto met = host_->find(id_of(child_));
  ASSERT_TRUE(met);
  const auto own = arm(child_, {"example.com", "tcp://192.0.2.3:443"});
  EXPECT_EQ(own.workload_id, met->workload_id);
  EXPECT_EQ(own.layer, 0u);
  EXPECT_EQ(tcp_in(child_, "192.0.2.1"), 0);
  EXPECT_EQ(tcp_in(child_, "192.0.2.2"), ECONNREFUSED);
  EXPECT_EQ(tcp_in(child_, "192.0.2.3"), 0);
  EXPECT_EQ(tcp_in(sibling_, "192.0.2.2"), 0);
  EXPECT_TRUE(damage().empty());

  open();
  EXPECT_EQ(host_->adoption().workloads, 2u);
  EXPECT_EQ(tcp_in(child_, "192.0.2.3"), 0);
  ASSERT_TRUE(host_->disarm(child_.fd(), id_of(child_)));
  EXPECT_EQ(tcp_in(child_, "192.0.2.3"), ECONNREFUSED) << "back to the template's policy";
  EXPECT_EQ(tcp_in(child_, "192.0.2.2"), 0);
  EXPECT_EQ(tcp_in(child_, "192.0.2.1"), 0);
}

TEST_F(HostTemplate, AnOwnPolicyMayComeBeforeTheFirstAct) {
  arm(child_, {"tcp://192.0.2.3:443"});
  EXPECT_EQ(tcp_in(child_, "192.0.2.3"), 0);
  EXPECT_EQ(tcp_in(child_, "192.0.2.2"), ECONNREFUSED);
}

TEST_F(HostTemplate, ATemplatesNewPolicyReachesItsChildren) {
  arm(sibling_, {"tcp://192.0.2.2:443"});
  EXPECT_EQ(tcp_in(child_, "192.0.2.2"), 0);
  const auto replaced = host_->replace(id_of(parent_), image_of({"tcp://192.0.2.4:443"}), false);
  ASSERT_TRUE(replaced) << replaced.error().message();
  EXPECT_TRUE(replaced->is_template);
  EXPECT_EQ(tcp_in(child_, "192.0.2.2"), ECONNREFUSED);
  EXPECT_EQ(tcp_in(child_, "192.0.2.4"), 0);
  EXPECT_EQ(tcp_in(sibling_, "192.0.2.2"), 0) << "it has a policy of its own";
}

TEST_F(HostTemplate, TablesAreLaidReadyAgain) {
  std::vector<std::unique_ptr<ThrowawayCgroup>> children;
  for (int i = 0; i < 12; ++i) {
    children.push_back(std::make_unique<ThrowawayCgroup>(parent_));
    EXPECT_EQ(tcp_in(*children.back(), "192.0.2.2"), 0);
    if (i % 4 == 3) {
      ASSERT_TRUE(host_->keep_house());
    }
  }
  EXPECT_EQ(counter("children"), 12u);
  EXPECT_EQ(counter("children_pooled"), 0u);
}

TEST_F(HostTemplate, ChildrenThatAreGoneMakeRoom) {
  for (int round = 0; round < 40; ++round) {  // 80 children, 64 slots
    ThrowawayCgroup first(parent_), second(parent_);
    EXPECT_EQ(tcp_in(first, "192.0.2.2"), 0);
    EXPECT_EQ(tcp_in(second, "192.0.2.2"), 0);
    for (const auto* gone : {&first, &second}) host_->forget(id_of(*gone));
    ASSERT_TRUE(host_->keep_house());
  }
  EXPECT_EQ(host_->armed().value().size(), 1u);
  EXPECT_EQ(counter("children_pooled"), 0u);
}

TEST_F(HostTemplate, DisarmingATemplateLetsItsChildrenGo) {
  EXPECT_EQ(tcp_in(child_, "192.0.2.9"), ECONNREFUSED);
  arm(sibling_, {"tcp://192.0.2.3:443"});
  ASSERT_TRUE(host_->disarm(parent_.fd(), id_of(parent_)));
  EXPECT_EQ(tcp_in(child_, "192.0.2.9"), 0);
  EXPECT_EQ(tcp_in(sibling_, "192.0.2.9"), 0);
  EXPECT_TRUE(host_->armed().value().empty());
  arm(sibling_, {"tcp://192.0.2.3:443"});
  EXPECT_EQ(tcp_in(sibling_, "192.0.2.9"), ECONNREFUSED);
}

TEST_F(HostTemplate, AGuardRefusesUnarmedChildrenOnly) {
  const ThrowawayCgroup guarded, unarmed(guarded), other(guarded);
  ASSERT_TRUE(host_->guard(guarded.fd(), id_of(guarded)));
  EXPECT_EQ(tcp_in(guarded, "192.0.2.9"), 0);
  EXPECT_NE(tcp_in(unarmed, "192.0.2.9"), 0);
  arm(unarmed, {"tcp://192.0.2.9:443"});
  EXPECT_EQ(tcp_in(unarmed, "192.0.2.9"), 0);
  open();
  EXPECT_NE(tcp_in(other, "192.0.2.9"), 0) << "a guard outlives the process";
  ASSERT_TRUE(host_->unguard(guarded.fd(), id_of(guarded)));
  EXPECT_EQ(tcp_in(other, "192.0.2.9"), 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
