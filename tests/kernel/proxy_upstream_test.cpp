// Resolvers asked by c-ares, in a network of the test's own.
#include <gmock/gmock.h>
#include <poll.h>

#include <set>

#include "agent/proxy/ares_upstream.h"
#include "policy/dns_message.h"
#include "tests/kernel/support/dns_stream_server.h"
#include "tests/kernel/support/requirements.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using agent::AresUpstream;
using agent::Poller;
using agent::UpstreamTarget;
using std::chrono::milliseconds;

const SocketAddress kFirst(ip("127.0.0.61"), 5361);
const SocketAddress kSecond(ip("127.0.0.62"), 5361);

ResolverAddress resolver_at(const SocketAddress& address) { return {address.address(), Port{address.port()}}; }
UpstreamTarget target_of(const SocketAddress& first, const std::vector<SocketAddress>& others = {}) {
  UpstreamTarget target{0, resolver_at(first), {}};
  for (const auto& other : others) target.stand_ins.push_back(resolver_at(other));
  return target;
}

Answerer answering(const std::string& address = "192.0.2.1") {
  return [address](const ReceivedQuestion& question) -> std::vector<Reply> {
    return {{make_answer(question.bytes, {{question.read.name, 60, "", ip(address)}})}};
  };
}
Bytes with_rcode(Bytes answer, std::uint8_t rcode) {
  answer[3] = static_cast<std::uint8_t>((answer[3] & 0xf0) | rcode);
  return answer;
}

class ProxyUpstreamTest : public testing::Test {
 protected:
  struct Outcome {
    int calls = 0;
    Bytes answer;  // of the last call
    std::optional<ErrorKind> error;
  };

  void SetUp() override {
    if (const auto missing = find_missing_requirement()) GTEST_SKIP() << *missing;
    network_.emplace();
    poller_.emplace(*Poller::open());
    open_upstream();
  }

  void open_upstream() {
    agent::AresUpstreamOptions options;
    options.timeout_ms = 300;
    options.make_socket = [this](std::uint64_t cookie, int family, int type) -> Result<FileDescriptor> {
      asked_cookies_.push_back(cookie);
      FileDescriptor made(socket(family, type | SOCK_CLOEXEC, 0));
      if (!made) return fail_errno(errno, "socket");
      return made;
    };
    auto opened = AresUpstream::open(std::move(options), *poller_);
    ASSERT_TRUE(opened.has_value()) << opened.error().message();
    upstream_ = std::move(*opened);
  }

  std::shared_ptr<Outcome> ask(const UpstreamTarget& target, const Bytes& query) {
    auto outcome = std::make_shared<Outcome>();
    upstream_->ask(target, query, [outcome](Result<std::span<const std::uint8_t>> answer) {
      ++outcome->calls;
      if (answer) {
        outcome->answer.assign(answer->begin(), answer->end());
      } else {
        outcome->error = answer.error().kind;
      }
    });
    return outcome;
  }

  void turn(milliseconds longest) {
    upstream_->flush();
    pollfd waiting{poller_->fd(), POLLIN, 0};
    poll(&waiting, 1, static_cast<int>(std::min(longest, milliseconds(20)).count()));
    epoll_event room[16];
    for (const epoll_event& event : poller_->ready(room)) upstream_->on_ready(event.data.u64, event.events);
    upstream_->tick(boot_now() + skew_);
    upstream_->flush();
  }
  template <typename F>
  bool turn_until(F done, milliseconds timeout = std::chrono::seconds(5)) {
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      turn(milliseconds(20));
    }
    return true;
  }
  Outcome resolve(const UpstreamTarget& target, const Bytes& query) {
    const auto outcome = ask(target, query);
    EXPECT_EQ(outcome->calls, 0) << "done is not called from ask()";
    EXPECT_TRUE(turn_until([&] { return outcome->calls > 0; }));
    return *outcome;
  }

  std::optional<Network> network_;
  std::optional<Poller> poller_;
  std::unique_ptr<AresUpstream> upstream_;
  std::vector<std::uint64_t> asked_cookies_;
  Nanoseconds skew_{0};
};

TEST_F(ProxyUpstreamTest, TheAnswerIsTheResolversWithTheIdOfTheQuestion) {
  DnsServer server({kFirst}, answering());
  const Outcome outcome = resolve(target_of(kFirst), make_question(0x4711, "name.test", 1, true));
  const auto questions = server.questions();
  ASSERT_EQ(questions.size(), 1u);
  const Bytes& sent = questions[0].bytes;
  EXPECT_EQ(sent, make_question(questions[0].read.id, "name.test", 1, true)) << "only the id is replaced";
  Bytes expected = make_answer(sent, {{"name.test", 60, "", ip("192.0.2.1")}});
  expected[0] = 0x47;
  expected[1] = 0x11;
  EXPECT_EQ(outcome.answer, expected);
}

TEST_F(ProxyUpstreamTest, IdsAreRandomAndPortsChange) {
  DnsServer server({kFirst}, answering());
  constexpr int kQuestions = 5 * static_cast<int>(AresUpstream::kQuestionsPerChannel);
  std::vector<std::shared_ptr<Outcome>> outcomes;
  for (int i = 0; i < kQuestions; i += 16) {
    for (int j = 0; j < 16; ++j) outcomes.push_back(ask(target_of(kFirst), make_question(7, "name.test", 1)));
    ASSERT_TRUE(turn_until([&] { return upstream_->figures().in_flight == 0; }));
  }
  std::set<std::uint16_t> ids, ports;
  for (const auto& question : server.questions()) {
    ids.insert(question.read.id);
    ports.insert(question.peer.port());
  }
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome->answer.at(1), 7);
  EXPECT_GT(ids.size(), kQuestions * 9u / 10) << "65,536 ids, drawn 5,120 times, repeat some 200 times";
  EXPECT_GE(ports.size(), 6u);
}

TEST_F(ProxyUpstreamTest, APortIsNotUsedForLong) {
  DnsServer server({kFirst}, answering());
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 20; ++i) {
    resolve(target_of(kFirst), make_question(7, "name.test", 1));
    ports.insert(server.questions().back().peer.port());
    skew_ += AresUpstream::kChannelLife + std::chrono::seconds(1);
    turn(milliseconds(1));
  }
  EXPECT_GE(ports.size(), 19u);
  EXPECT_LE(upstream_->figures().channels, 1u);
  skew_ += AresUpstream::kIdle;
  turn(milliseconds(1));
  EXPECT_EQ(upstream_->figures().channels, 0u);
}

TEST_F(ProxyUpstreamTest, TruncatedAnswersAreAskedForAgainOverTcp) {
  DnsServer server({kFirst}, [](const ReceivedQuestion& question) -> std::vector<Reply> {
    return {{make_answer(question.bytes, {}, kFlagsAnswer | kFlagTruncated)}};
  });
  Bytes sent;
  DnsStreamServer stream(kFirst, [&sent](const ReceivedQuestion& question) -> std::vector<Reply> {
    std::vector<ZoneRecord> records(4000, {question.read.name, 60, "", ip("192.0.2.1")});
    sent = make_answer(question.bytes, records);
    return {{sent}};
  });
  const Outcome outcome = resolve(target_of(kFirst), make_question(0x4711, "name.test", 1, true));
  EXPECT_EQ(stream.questions(), 1u);
  ASSERT_GT(sent.size(), 60000u);
  EXPECT_EQ(Bytes(outcome.answer.begin() + 2, outcome.answer.end()), Bytes(sent.begin() + 2, sent.end()));
}

TEST_F(ProxyUpstreamTest, AnswersUpToOurEdnsSizeNeedNoTcp) {
  DnsServer server({kFirst}, [](const ReceivedQuestion& question) -> std::vector<Reply> {
    return {{make_answer(question.bytes, std::vector<ZoneRecord>(70, {question.read.name, 60, "", ip("192.0.2.1")}))}};
  });
  const Outcome outcome = resolve(target_of(kFirst), make_question(7, "name.test", 1, true));
  EXPECT_GT(outcome.answer.size(), 1100u);
}

TEST_F(ProxyUpstreamTest, AStandInAnswersForAResolverThatIsSilent) {
  DnsServer silent({kFirst}, [](const ReceivedQuestion&) -> std::vector<Reply> { return {}; });
  DnsServer second({kSecond}, answering("192.0.2.2"));
  const Outcome outcome = resolve(target_of(kFirst, {kSecond}), make_question(7, "name.test", 1));
  EXPECT_FALSE(outcome.answer.empty());
  EXPECT_EQ(silent.questions().size(), 1u);
  EXPECT_EQ(second.questions().size(), 1u);
}

TEST_F(ProxyUpstreamTest, AStandInAnswersAtOnceWhereNobodyListens) {
  DnsServer second({kSecond}, answering("192.0.2.2"));
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = resolve(target_of(kFirst, {kSecond}), make_question(7, "name.test", 1));
  EXPECT_FALSE(outcome.answer.empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(200));
}

TEST_F(ProxyUpstreamTest, NoAnswerFromAnybodyIsOneFailure) {
  DnsServer silent({kFirst}, [](const ReceivedQuestion&) -> std::vector<Reply> { return {}; });
  const auto outcome = ask(target_of(kFirst), make_question(7, "name.test", 1));
  ASSERT_TRUE(turn_until([&] { return outcome->calls > 0; }));
  EXPECT_EQ(outcome->error, ErrorKind::kSystem);
  EXPECT_EQ(silent.questions().size(), 2u) << "tries";
  EXPECT_FALSE(turn_until([&] { return outcome->calls > 1; }, milliseconds(100)));
}

TEST_F(ProxyUpstreamTest, WhatFailsAtOnceIsNotCalledBackFromAsk) {
  const SocketAddress nowhere(ip("203.0.113.9"), 53);
  run_command({"ip", "route", "del", "default"});
  const Outcome outcome = resolve(target_of(nowhere), make_question(7, "name.test", 1));
  EXPECT_EQ(outcome.error, ErrorKind::kSystem);
}

TEST_F(ProxyUpstreamTest, ServfailIsPassedOnAndNotAskedAgain) {
  DnsServer server({kFirst}, [](const ReceivedQuestion& question) -> std::vector<Reply> {
    return {{with_rcode(make_answer(question.bytes, {}), 2)}};
  });
  for (const bool with_edns : {true, false}) {
    const Outcome outcome = resolve(target_of(kFirst), make_question(7, "name.test", 1, with_edns));
    ASSERT_FALSE(outcome.answer.empty());
    EXPECT_EQ(outcome.answer[3] & 0xf, 2);
  }
  EXPECT_EQ(server.questions().size(), 2u);
}

TEST_F(ProxyUpstreamTest, RefusalsArePassedOn) {
  for (const std::uint8_t rcode : {std::uint8_t{3}, std::uint8_t{5}}) {
    DnsServer server({kFirst}, [rcode](const ReceivedQuestion& question) -> std::vector<Reply> {
      return {{with_rcode(make_answer(question.bytes, {}), rcode)}};
    });
    const Outcome outcome = resolve(target_of(kFirst), make_question(7, "name.test", 1, true));
    ASSERT_FALSE(outcome.answer.empty());
    EXPECT_EQ(outcome.answer[3] & 0xf, rcode);
    EXPECT_EQ(server.questions().size(), 1u);
  }
}

TEST_F(ProxyUpstreamTest, AResolverWithoutEdnsIsAskedWithoutItForThatQuestion) {
  const Bytes with_opt = make_question(7, "name.test", 1, true), plain = make_question(7, "name.test", 1);
  DnsServer server({kFirst}, [&](const ReceivedQuestion& question) -> std::vector<Reply> {
    const bool has_opt = question.bytes.size() == with_opt.size();
    return {{with_rcode(make_answer(question.bytes, {}), has_opt ? 1 : 0)}};
  });
  for (int i = 0; i < 3; ++i) {
    const Outcome outcome = resolve(target_of(kFirst), with_opt);
    ASSERT_FALSE(outcome.answer.empty());
    EXPECT_EQ(outcome.answer[3] & 0xf, 0);
    turn(milliseconds(1));
  }
  const auto questions = server.questions();
  ASSERT_EQ(questions.size(), 6u) << "a channel that lost EDNS is replaced";
  for (std::size_t i = 0; i < questions.size(); ++i) {
    EXPECT_EQ(questions[i].bytes.size(), i % 2 == 0 ? with_opt.size() : plain.size());
  }
}

TEST_F(ProxyUpstreamTest, AnErrorAnswerToAPlainQuestionIsNotAskedAgainInPieces) {
  DnsServer server({kFirst}, [](const ReceivedQuestion& question) -> std::vector<Reply> {
    return {{with_rcode(make_answer(question.bytes, {}), 1)}};
  });
  const Outcome outcome = resolve(target_of(kFirst), make_question(7, "name.test", 1));
  EXPECT_EQ(outcome.answer[3] & 0xf, 1);
  EXPECT_EQ(server.questions().size(), 1u);
}

TEST_F(ProxyUpstreamTest, LateAndForgedAnswersAreIgnored) {
  const SocketAddress forger(ip("127.0.0.61"), 5362);  // the resolver's address, another port
  DnsServer server({kFirst, forger, kSecond}, [](const ReceivedQuestion& question) -> std::vector<Reply> {
    const Bytes good = make_answer(question.bytes, {{question.read.name, 60, "", ip("192.0.2.1")}});
    const Bytes bad = make_answer(question.bytes, {{question.read.name, 60, "", ip("192.0.2.66")}});
    Bytes other_id = bad;
    other_id[0] = static_cast<std::uint8_t>(other_id[0] ^ 1);
    Bytes no_answer = bad;
    no_answer[2] = static_cast<std::uint8_t>(no_answer[2] & 0x7f);
    const Bytes other_name =
        make_answer(make_question(question.read.id, "other.test", 1), {{"other.test", 60, "", ip("192.0.2.66")}});
    return {{bad, 1}, {bad, 2}, {other_id}, {no_answer}, {other_name}, {Bytes{}}, {Bytes{1, 2, 3}}, {good}, {bad}};
  });
  const Bytes query = make_question(7, "name.test", 1);
  const Outcome outcome = resolve(target_of(kFirst), query);
  EXPECT_EQ(outcome.answer, make_answer(query, {{"name.test", 60, "", ip("192.0.2.1")}}));
  EXPECT_TRUE(turn_until([&] { return upstream_->figures().stray >= 5; }, milliseconds(500)));
  EXPECT_EQ(outcome.calls, 1);
}

TEST_F(ProxyUpstreamTest, AForgedServfailDoesNotColourTheAnswer) {
  DnsServer server({kFirst}, [](const ReceivedQuestion& question) -> std::vector<Reply> {
    const Bytes forged = with_rcode(make_answer(make_question(question.read.id, "other.test", 1), {}), 2);
    return {{forged}, {make_answer(question.bytes, {{question.read.name, 60, "", ip("192.0.2.1")}})}};
  });
  const Outcome outcome = resolve(target_of(kFirst), make_question(7, "name.test", 1, true));
  ASSERT_FALSE(outcome.answer.empty());
  EXPECT_EQ(outcome.answer[3] & 0xf, 0);
}

TEST_F(ProxyUpstreamTest, SocketsAreMadeInTheNamespaceOfTheTarget) {
  DnsServer server({kFirst}, answering());
  UpstreamTarget target = target_of(kFirst);
  target.netns_cookie = 77;
  resolve(target, make_question(7, "name.test", 1));
  EXPECT_EQ(asked_cookies_, std::vector<std::uint64_t>{77});
}

TEST_F(ProxyUpstreamTest, AForgottenNamespaceFailsWhatWaits) {
  DnsServer silent({kFirst}, [](const ReceivedQuestion&) -> std::vector<Reply> { return {}; });
  UpstreamTarget target = target_of(kFirst);
  target.netns_cookie = 77;
  const auto outcome = ask(target, make_question(7, "name.test", 1));
  turn(milliseconds(1));
  upstream_->forget_netns(77);
  EXPECT_EQ(outcome->calls, 0);
  upstream_->flush();
  EXPECT_EQ(outcome->calls, 1);
  EXPECT_EQ(upstream_->figures().channels, 0u);
}

TEST_F(ProxyUpstreamTest, NothingIsCalledBackAfterItsEnd) {
  DnsServer silent({kFirst}, [](const ReceivedQuestion&) -> std::vector<Reply> { return {}; });
  const auto outcome = ask(target_of(kFirst), make_question(7, "name.test", 1));
  turn(milliseconds(1));
  upstream_.reset();
  EXPECT_EQ(outcome->calls, 0);
}

TEST_F(ProxyUpstreamTest, ConcurrentQuestionsEachGetTheirOwnAnswer) {
  DnsServer server({kFirst}, [](const ReceivedQuestion& question) -> std::vector<Reply> {
    const std::string last = question.read.name.substr(1, question.read.name.find('.') - 1);
    return {{make_answer(question.bytes, {{question.read.name, 60, "", ip("192.0.2." + last)}})}};
  });
  std::vector<std::shared_ptr<Outcome>> outcomes;
  for (int i = 0; i < 200; ++i) {
    outcomes.push_back(ask(target_of(kFirst), make_question(9, "n" + std::to_string(i) + ".test", 1)));
  }
  ASSERT_TRUE(turn_until([&] { return upstream_->figures().answers == 200; }));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(outcomes[static_cast<std::size_t>(i)]->answer.back(), i);
}

}  // namespace
}  // namespace namewall::kernel_tests
