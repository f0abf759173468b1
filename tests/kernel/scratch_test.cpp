// Scratch space of the question check under preemption: whatever happens to a question is counted, none slips by.
#include <sched.h>

#include <thread>

#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

class Scratch : public WorkloadTest {
 protected:
  struct Outcome {
    std::uint64_t sent = 0, refused = 0;
  };
  // Eight senders of real-time priority on two CPUs: the kernel may preempt one inside its check for another.
  void stress(std::uint32_t each) {
    dns_->answer_with([](const ReceivedQuestion&) { return std::vector<Reply>{}; });
    arm(make_policy({"allowed.test"}));
    const auto run = [&](const char* name) {
      std::vector<WorkloadProcess> senders;
      for (int sender = 0; sender < 8; ++sender) {
        senders.emplace_back(cgroup_, [=] {
          sched_param priority{};
          priority.sched_priority = 10 + sender;
          sched_setscheduler(0, SCHED_FIFO, &priority);
          Outcome outcome;
          const auto client = make_socket(AF_INET, SOCK_DGRAM);
          const auto to = resolver();
          connect(client.get(), to.get(), to.length);
          for (std::uint32_t i = 0; i < each; ++i) {
            const auto question = make_question(static_cast<std::uint16_t>(i), name, 1);
            if (send(client.get(), question.data(), question.size(), 0) < 0)
              ++outcome.refused;
            else
              ++outcome.sent;
            if (i % 64 == 0) sched_yield(), std::this_thread::sleep_for(std::chrono::microseconds(50));
          }
          return std::string(reinterpret_cast<const char*>(&outcome), sizeof(outcome));
        });
      }
      Outcome total;
      for (auto& sender : senders) {
        const auto bytes = sender.wait(std::chrono::minutes(10));
        Outcome one;
        if (bytes.size() == sizeof(one)) std::memcpy(&one, bytes.data(), sizeof(one));
        total.sent += one.sent;
        total.refused += one.refused;
      }
      return total;
    };
    const auto allowed = run("allowed.test");
    const auto busy = count_of(NW_REASON_QUESTION_BUSY);
    EXPECT_EQ(allowed.sent + allowed.refused, 8u * each);
    EXPECT_EQ(allowed.refused, busy) << "a refused question of an allowed name has no other reason";
    EXPECT_EQ(allowed.sent, counter("questions"));
    const auto forbidden = run("forbidden.test");
    EXPECT_EQ(forbidden.sent, 0u);
    EXPECT_EQ(forbidden.refused, count_of(NW_REASON_NAME_NOT_ALLOWED) + count_of(NW_REASON_QUESTION_BUSY) - busy);
    EXPECT_EQ(dns_->questions_for("forbidden.test"), 0u);
    RecordProperty("busy", static_cast<int>(count_of(NW_REASON_QUESTION_BUSY)));
  }
};

TEST_F(Scratch, EightRealTimeSendersLoseNoQuestionUncounted) { stress(5'000); }
TEST_F(Scratch, SoakEightRealTimeSendersLoseNoQuestionUncounted) { stress(200'000); }

}  // namespace
}  // namespace namewall::kernel_tests
