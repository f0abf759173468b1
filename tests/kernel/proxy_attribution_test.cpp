// Who asks the DNS proxy: what egress says of it cannot be forged, and answers reach only who asked.
#include <sys/prctl.h>

#include <set>

#include "tests/kernel/support/child_rows.h"
#include "tests/kernel/support/test_proxy.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::ElementsAre;

constexpr milliseconds kSoon{300};

int send_bytes(int socket, const Bytes& bytes, const SocketAddress& to) {
  return sendto(socket, bytes.data(), bytes.size(), 0, to.get(), to.length) < 0 ? errno : 0;
}

// Bound to `port` of loopback; 0: any.
OwnedFd make_client(std::uint16_t port = 0) {
  auto client = make_socket(AF_INET, SOCK_DGRAM);
  const SocketAddress at(ip("127.0.0.1"), port);
  if (bind(client.get(), at.get(), at.length) != 0) client.reset();
  return client;
}

std::uint16_t port_of(int socket) {
  SocketAddress own;
  own.length = sizeof(own.storage);
  getsockname(socket, own.get(), &own.length);
  return own.port();
}

class ProxyAttribution : public WorkloadTest {
 protected:
  explicit ProxyAttribution(bool use_marks = true) { load_options_.use_marks = use_marks; }
  void SetUp() override {
    WorkloadTest::SetUp();
    zone_.add("example.com", ip("192.0.2.1"));
    proxy_ = std::make_unique<TestProxy>(resolver(), zone_.answerer());
    ASSERT_TRUE(enforcer_->add_proxy_place(proxy_->place(Protocol::kUdp)));
    policy_ = make_policy({"example.com"});
    policy_.dns.learn = Learn::kProxy;
    policy_.loopback = Loopback::kAny;
  }
  std::optional<std::uint64_t> asker_of(const ProxiedQuestion& question) {
    if (const auto cgroup = enforcer_->cgroup_of_token(question.token())) return cgroup;
    return enforcer_->take_asker({.netns_cookie = bpf::netns_cookie().value_or(0),
                                  .address = question.peer.address(),
                                  .port = Port{question.peer.port()},
                                  .message = question.bytes});
  }

  Policy policy_;
  std::unique_ptr<TestProxy> proxy_;
};

class ProxyAttributionWithoutMarks : public ProxyAttribution {
 protected:
  ProxyAttributionWithoutMarks() : ProxyAttribution(false) {}
};

TEST_F(ProxyAttribution, TellsTwoWorkloadsApart) {
  const ThrowawayCgroup other;
  arm(policy_);
  const auto second = arm_other(other, policy_);
  for (const ThrowawayCgroup* cgroup : std::initializer_list<const ThrowawayCgroup*>{&cgroup_, &other})
    EXPECT_TRUE(in_cgroup(*cgroup, [] { return look_up(resolver(), "example.com"); }).delivered());
  const auto questions = proxy_->await(2);
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(asker_of(questions[0]), workload_.cgroup_id);
  EXPECT_EQ(asker_of(questions[1]), second.cgroup_id);
  ASSERT_TRUE(enforcer_->disarm(other.fd(), second));
  EXPECT_EQ(asker_of(questions[1]), std::nullopt);
}

TEST_F(ProxyAttribution, OfAnOutsiderIsNobody) {
  arm(policy_);
  const auto outsider = make_client();
  ASSERT_EQ(send_bytes(outsider.get(), make_question(1, "example.com", 1), proxy_->at()), 0);
  const auto questions = proxy_->await(1);
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].mark, 0u);
  EXPECT_EQ(asker_of(questions[0]), std::nullopt);
}

TEST_F(ProxyAttribution, OfAnOutsiderAtAClientsFormerPortIsNobody) {
  arm(policy_);
  const std::uint16_t port = in_cgroup(cgroup_, [] {
    const auto client = make_client();
    send_bytes(client.get(), make_question(1, "example.com", 1), resolver());
    return port_of(client.get());
  });
  ASSERT_NE(port, 0);
  const auto outsider = make_client(port);
  ASSERT_TRUE(outsider);
  ASSERT_EQ(send_bytes(outsider.get(), make_question(1, "example.com", 1), proxy_->at()), 0);
  const auto questions = proxy_->await(2);
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[1].peer.port(), port);
  EXPECT_EQ(asker_of(questions[0]), workload_.cgroup_id);
  EXPECT_EQ(asker_of(questions[1]), std::nullopt);
}

TEST_F(ProxyAttribution, DoesNotCareForMarksThatTheWorkloadSets) {
  const ThrowawayCgroup other;
  arm(policy_);
  const auto second = arm_other(other, policy_);
  in_cgroup(other, [] { look_up(resolver(), "example.com"); });
  const std::uint32_t others_mark = proxy_->await(1).at(0).mark;
  for (const std::uint32_t forged : {others_mark, others_mark | 0x4321u, 0xffffffffu, 0u}) {
    const auto before = proxy_->questions().size();
    in_cgroup(cgroup_, [&] {  // root, with CAP_NET_ADMIN
      const auto client = make_client();
      setsockopt(client.get(), SOL_SOCKET, SO_MARK, &forged, sizeof(forged));
      send_bytes(client.get(), make_question(1, "example.com", 1), resolver());
    });
    const auto questions = proxy_->await(before + 1);
    ASSERT_EQ(questions.size(), before + 1);
    EXPECT_EQ(asker_of(questions.back()), workload_.cgroup_id) << std::hex << forged;
    EXPECT_EQ(questions.back().mark & 0xffff, forged & 0xffff) << "the low bits are not ours";
  }
  EXPECT_NE(asker_of(proxy_->questions()[0]), workload_.cgroup_id);
  EXPECT_EQ(asker_of(proxy_->questions()[0]), second.cgroup_id);
}

TEST_F(ProxyAttribution, LeavesTheMarksOfOtherPacketsAlone) {
  arm(policy_);
  const auto server = make_client();
  const int yes = 1;
  setsockopt(server.get(), SOL_SOCKET, 75 /* SO_RCVMARK */, &yes, sizeof(yes));
  const SocketAddress to(ip("127.0.0.1"), port_of(server.get()));
  EXPECT_EQ(in_cgroup(cgroup_,
                      [&] {
                        const auto client = make_client();
                        const std::uint32_t mark = 0x12345678;
                        setsockopt(client.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
                        return send_bytes(client.get(), {1, 2, 3}, to);
                      }),
            0);
  char data[16], control[128];
  iovec bytes{data, sizeof(data)};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ASSERT_EQ(recvmsg(server.get(), &message, 0), 3);
  std::uint32_t mark = 0;
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at))
    if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SO_MARK) std::memcpy(&mark, CMSG_DATA(at), sizeof(mark));
  EXPECT_EQ(mark, 0x12345678u);
}

TEST_F(ProxyAttribution, EverySocketHasItsOwnAnswers) {
  arm(policy_);
  proxy_->stop_answering();
  // The second socket sends with the first one's id to the place itself, and both wait.
  Rendezvous meeting;
  WorkloadProcess process(cgroup_, [&] {
    const auto first = make_client(), second = make_client();
    send_bytes(first.get(), make_question(1, "example.com", 1), resolver());
    send_bytes(second.get(), make_question(2, "example.com", 1), proxy_->at());
    meeting.arrive_and_wait();
    const bool one = receive(first.get(), kSoon).has_value(), other = receive(second.get(), kSoon).has_value();
    const bool again = receive(first.get(), kSoon).has_value();
    return std::string(one ? "first " : "") + (other ? "second " : "") + (again ? "again" : "");
  });
  ASSERT_TRUE(meeting.await_arrival());
  const auto questions = proxy_->await(2);
  ASSERT_EQ(questions.size(), 2u);
  for (const auto& question : questions) EXPECT_EQ(asker_of(question), workload_.cgroup_id);
  // Each gets the other's answer, and the first its own twice.
  proxy_->send(make_answer(questions[0].bytes, {}), questions[1].peer);
  proxy_->send(make_answer(questions[1].bytes, {}), questions[0].peer);
  proxy_->send(make_answer(questions[0].bytes, {}), questions[0].peer);
  proxy_->send(make_answer(questions[0].bytes, {}), questions[0].peer);
  meeting.release();
  EXPECT_EQ(process.wait(), "first ");
  EXPECT_EQ(count_of(NW_REASON_ANSWER_UNSOLICITED), 3u);
}

TEST_F(ProxyAttribution, AnAnswerComesFromThePlaceThatWasAsked) {
  const TestProxy other(far_resolver(), zone_.answerer());
  ASSERT_TRUE(enforcer_->add_proxy_place(other.place(Protocol::kUdp)));
  arm(policy_);
  proxy_->stop_answering();
  Rendezvous meeting;
  WorkloadProcess process(cgroup_, [&] {
    const auto client = make_client();
    send_bytes(client.get(), make_question(1, "example.com", 1), resolver());
    meeting.arrive_and_wait();
    return std::string(receive(client.get(), kSoon) ? "arrived" : "nothing");
  });
  ASSERT_TRUE(meeting.await_arrival());
  const auto questions = proxy_->await(1);
  ASSERT_EQ(questions.size(), 1u);
  other.send(make_answer(questions[0].bytes, {}), questions[0].peer);
  meeting.release();
  EXPECT_EQ(process.wait(), "nothing");
}

// At the port of a socket that asked and was closed before its answer.
OwnedFd make_client_after_one_that_asked(std::uint16_t id) {
  auto first = make_client();
  const std::uint16_t port = port_of(first.get());
  send_bytes(first.get(), make_question(id, "example.com", 1), resolver());
  first.reset();
  return make_client(port);
}

TEST_F(ProxyAttribution, AnswersForAClosedSocketDoNotReachTheNextOneAtItsPort) {
  arm(policy_);
  proxy_->stop_answering();
  Rendezvous meeting;
  WorkloadProcess process(cgroup_, [&] {
    const auto second = make_client_after_one_that_asked(1);
    meeting.arrive_and_wait();
    return std::string(receive(second.get(), kSoon) ? "arrived" : "nothing");
  });
  ASSERT_TRUE(meeting.await_arrival());
  const auto questions = proxy_->await(1);
  ASSERT_EQ(questions.size(), 1u);
  proxy_->send(make_answer(questions[0].bytes, {}), questions[0].peer);
  meeting.release();
  EXPECT_EQ(process.wait(), "nothing");
  EXPECT_EQ(count_of(NW_REASON_ANSWER_UNSOLICITED), 1u);
}

TEST_F(ProxyAttribution, AnswersForAClosedSocketDoNotReachTheNextOneThatAskedSomethingElse) {
  arm(policy_);
  proxy_->stop_answering();
  Rendezvous meeting;
  constexpr std::uint16_t kFormer = 1, kCount = 20;
  WorkloadProcess process(cgroup_, [&] {
    const auto second = make_client_after_one_that_asked(kFormer);
    for (std::uint16_t i = 1; i <= kCount; ++i)
      send_bytes(second.get(), make_question(static_cast<std::uint16_t>(kFormer + i), "example.com", 1), resolver());
    meeting.arrive_and_wait();
    return std::string(receive(second.get(), kSoon) ? "arrived" : "nothing");
  });
  ASSERT_TRUE(meeting.await_arrival());
  const auto questions = proxy_->await(1 + kCount);
  ASSERT_EQ(questions.size(), 1u + kCount);
  proxy_->send(make_answer(questions[0].bytes, {}), questions[0].peer);
  meeting.release();
  EXPECT_EQ(process.wait(), "nothing");
  EXPECT_EQ(count_of(NW_REASON_ANSWER_UNSOLICITED), 1u);
}

TEST_F(ProxyAttribution, ManyQuestionsOfOneSocketAreAnsweredOnceEach) {
  arm(policy_);
  proxy_->stop_answering();
  Rendezvous meeting;
  constexpr std::uint16_t kCount = 256;  // as many as a workload may have unanswered
  WorkloadProcess process(cgroup_, [&] {
    const auto client = make_client();
    const int room = 4 << 20;
    setsockopt(client.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    for (std::uint16_t i = 0; i < kCount; ++i) send_bytes(client.get(), make_question(i, "example.com", 1), resolver());
    meeting.arrive_and_wait();
    std::set<int> ids;
    int answers = 0;
    for (; const auto answer = receive(client.get(), kSoon); ++answers) ids.insert((*answer)[0] << 8 | (*answer)[1]);
    return std::to_string(answers) + " answers, " + std::to_string(ids.size()) + " ids";
  });
  ASSERT_TRUE(meeting.await_arrival());
  const auto questions = proxy_->await(kCount);
  ASSERT_EQ(questions.size(), kCount);
  for (int times = 0; times < 2; ++times) {
    for (const auto& question : questions) proxy_->send(make_answer(question.bytes, {}), question.peer);
  }
  meeting.release();
  EXPECT_EQ(process.wait(), "256 answers, 256 ids");
  EXPECT_EQ(count_of(NW_REASON_ANSWER_UNSOLICITED), kCount);
}

// Nothing answers any of these, so that the room for more is full of them.
TEST_F(ProxyAttribution, QuestionsThatNobodyAnsweredMakeRoomForLaterOnes) {
  policy_.dns.bounds.per_second = 100'000;  // egress passes twice as many
  arm(policy_);
  proxy_->stop_answering();
  Rendezvous meeting;
  constexpr int kLost = 6000;
  WorkloadProcess process(cgroup_, [&] {
    const auto client = make_client();
    for (int i = 0; i < kLost; ++i)
      send_bytes(client.get(), make_question(static_cast<std::uint16_t>(i), "example.com", 1), resolver());
    std::this_thread::sleep_for(kSoon);  // the proxy has read them
    send_bytes(client.get(), make_question(kLost, "late.test", 1), resolver());
    meeting.arrive_and_wait();
    return std::string(receive(client.get(), kSoon) ? "arrived" : "nothing");
  });
  ASSERT_TRUE(meeting.await_arrival());
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  auto questions = proxy_->questions();
  while (questions.back().name() != "late.test" && std::chrono::steady_clock::now() < end)
    questions = proxy_->await(questions.size() + 1);
  ASSERT_EQ(questions.back().name(), "late.test");
  proxy_->send(make_answer(questions.back().bytes, {}), questions.back().peer);
  meeting.release();
  EXPECT_EQ(process.wait(), "arrived");
}

TEST_F(ProxyAttribution, WhateverIsSentToThePlaceIsAttributed) {
  arm(policy_);
  in_cgroup(cgroup_, [&] {
    const auto client = make_client();
    for (const Bytes& bytes : {Bytes{}, Bytes{1}, Bytes(1400, 0xff), make_question(1, "evil.test", 1)})
      send_bytes(client.get(), bytes, proxy_->at());
  });
  const auto questions = proxy_->await(4);
  ASSERT_EQ(questions.size(), 4u);
  for (const auto& question : questions) EXPECT_EQ(asker_of(question), workload_.cgroup_id);
}

TEST_F(ProxyAttribution, OfChildrenTellsThemApartPooledOrNot) {
  workload_ = arm_with(cgroup_, policy_, {.trusted_netns = {}, .strict = false, .is_template = true});
  ChildRows rows(*enforcer_);
  rows.take_spares();
  const ThrowawayCgroup one(cgroup_), other(cgroup_);
  for (const auto* child : {&one, &other})
    EXPECT_TRUE(in_cgroup(*child, [] { return look_up(resolver(), "example.com"); }).delivered());
  const auto questions = proxy_->await(2);
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(asker_of(questions[0]), id_of(one));
  EXPECT_EQ(asker_of(questions[1]), id_of(other));
}

TEST_F(ProxyAttributionWithoutMarks, TellsTwoWorkloadsApartOnce) {
  const ThrowawayCgroup other;
  arm(policy_);
  const auto second = arm_other(other, policy_);
  for (const ThrowawayCgroup* cgroup : std::initializer_list<const ThrowawayCgroup*>{&cgroup_, &other})
    EXPECT_TRUE(in_cgroup(*cgroup, [] { return look_up(resolver(), "example.com"); }).delivered());
  const auto questions = proxy_->await(2);
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].token(), 0);
  EXPECT_EQ(asker_of(questions[0]), workload_.cgroup_id);
  EXPECT_EQ(asker_of(questions[1]), second.cgroup_id);
  EXPECT_EQ(asker_of(questions[0]), std::nullopt) << "an entry is taken once";
}

TEST_F(ProxyAttributionWithoutMarks, OfAnOutsiderIsNobodyAlsoWithAStaleEntry) {
  arm(policy_);
  const std::uint16_t port = in_cgroup(cgroup_, [] {
    const auto client = make_client();
    send_bytes(client.get(), make_question(1, "example.com", 1), resolver());
    return port_of(client.get());
  });
  // Nobody has taken the entry. The outsider has the client's port, and asks something else, or with another id.
  const auto outsider = make_client(port);
  ASSERT_TRUE(outsider);
  ASSERT_EQ(send_bytes(outsider.get(), make_question(1, "evil.test", 1), proxy_->at()), 0);
  ASSERT_EQ(send_bytes(outsider.get(), make_question(2, "example.com", 1), proxy_->at()), 0);
  const auto questions = proxy_->await(3);
  ASSERT_EQ(questions.size(), 3u);
  EXPECT_EQ(asker_of(questions[1]), std::nullopt);
  EXPECT_EQ(asker_of(questions[2]), std::nullopt);
  EXPECT_EQ(asker_of(questions[0]), workload_.cgroup_id);
}

TEST_F(ProxyAttributionWithoutMarks, ForgetsAfterFiveSeconds) {
  arm(policy_);
  in_cgroup(cgroup_, [] { look_up(resolver(), "example.com"); });
  const auto questions = proxy_->await(1);
  ASSERT_EQ(questions.size(), 1u);
  std::this_thread::sleep_for(milliseconds(5100));
  EXPECT_EQ(asker_of(questions[0]), std::nullopt);
}

}  // namespace
}  // namespace namewall::kernel_tests
