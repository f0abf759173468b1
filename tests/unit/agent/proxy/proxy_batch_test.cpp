// Answers that come together: their lessons go to the sink together, and none is let out before all are acknowledged.
#include <gmock/gmock.h>

#include "tests/unit/agent/proxy/proxy_fixture.h"

namespace namewall::agent {
namespace {

using testing::asker_of;
using ::testing::ElementsAre;

class ProxyBatch : public ProxyCoreTest {
 protected:
  const Asker alone = asker_of({{1, image_of({"a.example", "b.example", "c.example"})}});
  const Asker nested = asker_of({{2, image_of({"d.example"})}, {1, image_of({"d.example"})}});
};

TEST_F(ProxyBatch, LeavesOnlyWhenItsLessonsAreAcknowledged) {
  bool is_acknowledged = false;
  sink.on_acknowledged = [&] { is_acknowledged = true; };
  clients.on_reply = [&] {
    EXPECT_TRUE(is_acknowledged);
    EXPECT_EQ(sink.taught.size(), 2u);
  };
  ask(alone, "a.example");
  ask(alone, "b.example");
  core.begin_batch();
  answer("a.example", "192.0.2.1");
  answer("b.example", "192.0.2.2");
  EXPECT_TRUE(clients.replies.empty());
  core.end_batch();
  EXPECT_EQ(clients.replies.size(), 2u);
  EXPECT_THAT(sink.batches, ElementsAre(2u));
  EXPECT_EQ(core.figures().answered, 2u);
}

TEST_F(ProxyBatch, WithholdsOnlyWhatFailed) {
  sink.refuse = [](std::uint64_t, const Lesson& lesson) {
    return lesson.name.text() == "b.example" ? NW_REASON_GRANTS_FULL : NW_REASON_NONE;
  };
  for (const char* name : {"a.example", "b.example", "c.example"}) ask(alone, name);
  core.begin_batch();
  for (const char* name : {"a.example", "b.example", "c.example"}) answer(name);
  core.end_batch();
  ASSERT_EQ(clients.replies.size(), 3u);
  EXPECT_EQ(clients.replies[0].answers(), 1u);
  EXPECT_EQ(clients.replies[1].rcode(), 2u);
  EXPECT_EQ(clients.replies[2].answers(), 1u);
  EXPECT_EQ(core.figures().withheld, 1u);
}

TEST_F(ProxyBatch, TeachesAnOuterLevelBehindItsInnerOne) {
  ask(nested, "d.example");
  ask(alone, "a.example");
  core.begin_batch();
  answer("d.example");
  answer("a.example");
  core.end_batch();
  EXPECT_THAT(sink.batches, ElementsAre(2u, 1u));
  EXPECT_EQ(sink.taught.back().cgroup_id, 1u);
  EXPECT_EQ(clients.replies.size(), 2u);
}

TEST_F(ProxyBatch, DoesNotTeachOutsideWhatFailedInside) {
  sink.refuse = [](std::uint64_t cgroup_id, const Lesson&) {
    return cgroup_id == 2 ? NW_REASON_NAMES_FULL : NW_REASON_NONE;
  };
  ask(nested, "d.example");
  ask(alone, "a.example");
  core.begin_batch();
  answer("d.example");
  answer("a.example");
  core.end_batch();
  EXPECT_THAT(sink.batches, ElementsAre(2u));
  ASSERT_EQ(sink.taught.size(), 1u);
  EXPECT_EQ(sink.taught[0].lesson.name.text(), "a.example");
  EXPECT_EQ(core.figures().withheld, 1u);
}

TEST_F(ProxyBatch, OfAClosedPlaceIsNotSent) {
  ask(alone, "a.example", {.place = 5});
  ask(alone, "b.example", {.place = 6});
  core.begin_batch();
  answer("a.example");
  answer("b.example");
  core.forget_place(5);
  core.end_batch();
  ASSERT_EQ(clients.replies.size(), 1u);
  EXPECT_EQ(clients.replies[0].client.place, 6u);
}

TEST_F(ProxyBatch, OfAWorkloadThatChangesIsLetOutByThePoliciesItWasJudgedBy) {
  ask(alone, "a.example");
  core.begin_batch();
  answer("a.example");
  core.forget_workload(1);  // there is no asker of that number any more
  ASSERT_EQ(clients.replies.size(), 1u);
  EXPECT_EQ(clients.replies[0].answers(), 1u);
  EXPECT_EQ(sink.taught.size(), 1u);
  core.end_batch();
  EXPECT_EQ(clients.replies.size(), 1u);
}

TEST_F(ProxyBatch, OfManyAnswersDoesNotGrowWithoutEnd) {
  const Asker many = asker_of({{1, image_where({"*.w.example"}, [](PolicyImage& image) {
                                  image.bounds = {.in_flight = 1000, .per_second = 1000, .fresh_per_second = 1000};
                                })}});
  for (int i = 0; i < 300; ++i) {
    put(many, "n" + std::to_string(i) + ".w.example");
    while (core.run_turn(now)) {
    }
  }
  core.begin_batch();
  for (int i = 0; i < 300; ++i) answer("n" + std::to_string(i) + ".w.example");
  EXPECT_EQ(clients.replies.size(), 256u);
  core.end_batch();
  EXPECT_THAT(sink.batches, ElementsAre(256u, 44u));
  EXPECT_EQ(clients.replies.size(), 300u);
}

}  // namespace
}  // namespace namewall::agent
