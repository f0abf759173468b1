// Answers to questions refused in another network namespace.
#include "agent/host/netns_answers.h"

#include <gmock/gmock.h>
#include <sched.h>

#include "tests/kernel/support/helper_loop.h"

namespace namewall::kernel_tests {
namespace {

using agent::NetnsAnswers;

class NetnsAnswersTest : public WorkloadTest {
 protected:
  void SetUp() override {
    WorkloadTest::SetUp();
    arm(make_policy({"allowed.test"}));
  }

  NetnsAnswers make_answers() {
    auto own = agent::RefusalAnswerer::open();
    if (!own) ADD_FAILURE() << own.error().message();
    return NetnsAnswers(helper_, std::move(*own), [this] { return boot_now() + skew_; });
  }

  // A refused question asked in another network namespace, by a process that waits for the answer.
  struct Asking {
    std::unique_ptr<Rendezvous> turn = std::make_unique<Rendezvous>();
    std::unique_ptr<WorkloadProcess> process;
    Event event;
  };
  Asking ask_elsewhere() {
    Asking asking;
    asking.process = std::make_unique<WorkloadProcess>(cgroup_, [turn = asking.turn.get()] {
      if (unshare(CLONE_NEWNET) != 0) return std::string("unshare");
      run_command({"ip", "link", "set", "lo", "up"});
      const OwnedFd udp = make_socket(AF_INET, SOCK_DGRAM);
      const SocketAddress to = resolver();
      if (connect(udp.get(), to.get(), to.length) != 0) return std::string("connect");
      const Bytes question = make_question(0x1234, "refused.test", 1);
      if (send(udp.get(), question.data(), question.size(), 0) >= 0) return std::string("it was sent");
      turn->arrive_and_wait();
      const auto answer = receive(udp.get(), milliseconds(500));
      return std::string(answer && answer->at(0) == 0x12 && (answer->at(3) & 0xf) == 3 ? "nxdomain" : "nothing");
    });
    EXPECT_TRUE(asking.turn->await_arrival());
    for (const Event& event : take_events()) {
      if (event.hook == Hook::kQuestion) asking.event = event;
    }
    EXPECT_FALSE(asking.event.packet.empty());
    return asking;
  }
  static std::string finish(Asking& asking) {
    asking.turn->release();
    return asking.process->wait();
  }

  agent::PrivilegedHelper helper_ = start_helper();
  Nanoseconds skew_{0};
};

TEST_F(NetnsAnswersTest, ReachTheClientThroughSocketsOfTheHelper) {
  NetnsAnswers answers = make_answers();
  Asking asking = ask_elsewhere();
  answers.answer(asking.event, {});
  EXPECT_EQ(answers.figures().sent, 0u) << "nothing waits for the helper";
  EXPECT_TRUE(turn_until(helper_, [&] { return answers.figures().sent == 1; }));
  EXPECT_EQ(finish(asking), "nxdomain");
}

TEST_F(NetnsAnswersTest, ANamespaceThatIsKnownIsAnsweredAtOnce) {
  NetnsAnswers answers = make_answers();
  Asking asking = ask_elsewhere();
  for (int i = 0; i < 3; ++i) answers.answer(asking.event, {});
  EXPECT_TRUE(turn_until(helper_, [&] { return answers.figures().sent == 3; }));
  EXPECT_EQ(helper_.waiting(), 0u);
  answers.answer(asking.event, {});
  EXPECT_EQ(answers.figures().sent, 4u);
  EXPECT_EQ(finish(asking), "nxdomain");
}

TEST_F(NetnsAnswersTest, OldAndIncompleteEventsAreLeft) {
  NetnsAnswers answers = make_answers();
  Asking asking = ask_elsewhere();
  Event event = asking.event;
  event.pid = 0;
  answers.answer(event, {});
  event = asking.event;
  event.packet.clear();
  answers.answer(event, {});
  skew_ = std::chrono::seconds(3);
  answers.answer(asking.event, {});
  EXPECT_EQ(answers.figures().left, 3u);
  EXPECT_EQ(helper_.waiting(), 0u);
  EXPECT_EQ(finish(asking), "nothing");
}

TEST_F(NetnsAnswersTest, ANamespaceThatCannotBeHadIsNotAskedForAgainAtOnce) {
  NetnsAnswers answers = make_answers();
  Asking asking = ask_elsewhere();
  EXPECT_EQ(finish(asking), "nothing");  // the process and its namespace are gone
  for (int i = 0; i < 3; ++i) {
    answers.answer(asking.event, {});
    EXPECT_TRUE(turn_until(helper_, [&] { return helper_.waiting() == 0; }));
  }
  EXPECT_EQ(answers.figures().failed_opens, 1u);
  EXPECT_EQ(answers.figures().left, 3u);
}

TEST_F(NetnsAnswersTest, WaitingEventsAreBounded) {
  NetnsAnswers answers = make_answers();
  Asking asking = ask_elsewhere();
  for (std::size_t i = 0; i < NetnsAnswers::kMaxWaitingEvents + 7; ++i) {
    answers.answer(asking.event, {});
  }
  EXPECT_EQ(answers.figures().overrun, 7u);
  EXPECT_EQ(helper_.waiting(), 1u) << "one request for one namespace";
  EXPECT_TRUE(turn_until(helper_, [&] { return answers.figures().sent == NetnsAnswers::kMaxWaitingEvents; }));
  finish(asking);
}

TEST_F(NetnsAnswersTest, AnIdleNamespaceIsLetGo) {
  NetnsAnswers answers = make_answers();
  Asking asking = ask_elsewhere();
  answers.answer(asking.event, {});
  ASSERT_TRUE(turn_until(helper_, [&] { return answers.figures().sent == 1; }));
  answers.drop_idle();
  answers.answer(asking.event, {});
  EXPECT_EQ(answers.figures().sent, 2u) << "still there";
  skew_ = NetnsAnswers::kIdle;
  answers.drop_idle();
  skew_ = Nanoseconds(0);
  answers.answer(asking.event, {});
  EXPECT_EQ(helper_.waiting(), 1u) << "opened again";
  EXPECT_TRUE(turn_until(helper_, [&] { return answers.figures().sent == 3; }));
  finish(asking);
}

TEST_F(NetnsAnswersTest, AWorkloadOfManyNamespacesDoesNotGrowThem) {
  NetnsAnswers answers = make_answers();
  Asking asking = ask_elsewhere();
  Event event = asking.event;
  for (std::uint64_t cookie = 1; cookie < 2000; ++cookie) {
    event.netns_cookie = asking.event.netns_cookie + (cookie << 32);
    answers.answer(event, {});
  }
  EXPECT_LE(helper_.waiting(), agent::PrivilegedHelper::kMaxWaiting / 2) << "room is left for everybody else";
  EXPECT_TRUE(turn_until(helper_, [&] { return helper_.waiting() == 0; }));
  EXPECT_EQ(answers.figures().sent, 0u);
  EXPECT_EQ(answers.figures().left + answers.figures().overrun, 1999u);
  finish(asking);
}

}  // namespace
}  // namespace namewall::kernel_tests
