// Answers that teach nothing: forged, unasked, for another question, or not an answer at all. None reaches the socket
// unless it is harmless, and none opens an address.
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::Contains;
using testing::IsEmpty;

const char kEvil[] = "203.0.113.66";

class ForgedAnswers : public WorkloadTest {
 protected:
  void SetUp() override {
    WorkloadTest::SetUp();
    if (HasFatalFailure()) return;
    arm(make_policy({"example.com", "other.example"}));
  }

  // Every question gets what `forge` makes of it, then the workload tries the evil address.
  struct Outcome {
    LookupOutcome lookup;
    int evil = 0;
  };
  Outcome ask_forger(const std::function<Bytes(const ReceivedQuestion&)>& forge, int from = -1) {
    dns_->answer_with([forge, from](const ReceivedQuestion& q) { return std::vector<Reply>{{forge(q), from}}; });
    return in_cgroup(cgroup_, [] {
      Outcome outcome;
      outcome.lookup = look_up(resolver(), "example.com", 1, milliseconds(150));
      outcome.evil = tcp_connect(ip(kEvil), 443);
      return outcome;
    });
  }
  static Bytes evil_answer(const ReceivedQuestion& q, std::uint16_t flags = kFlagsAnswer) {
    return make_answer(q.bytes, {{q.read.name, 60, "", ip(kEvil)}}, flags);
  }
  void expect_nothing_taught(const Outcome& outcome) {
    EXPECT_EQ(outcome.evil, ECONNREFUSED);
    EXPECT_THAT(granted_addresses(), IsEmpty());
  }
};

TEST_F(ForgedAnswers, HonestAnswerOfTheSameShapeDoesTeach) {
  const auto outcome = ask_forger([](const auto& q) { return evil_answer(q); });
  EXPECT_TRUE(outcome.lookup.delivered());
  EXPECT_EQ(outcome.evil, 0) << "else the tests below prove nothing";
}

TEST_F(ForgedAnswers, WrongId) {
  const auto outcome = ask_forger([](const auto& q) {
    auto bytes = evil_answer(q);
    bytes[1] ^= 1;
    return bytes;
  });
  expect_nothing_taught(outcome);
  EXPECT_EQ(count_of(NW_REASON_ANSWER_UNSOLICITED), 1u);
}

TEST_F(ForgedAnswers, WrongQuestionName) {
  const auto outcome = ask_forger([](const auto& q) {
    return DnsBytes(q.read.id, kFlagsAnswer, 1, 1)
        .question("other.example", 1)
        .record_at(12, 1, 60, address_data(ip(kEvil)))
        .bytes();
  });
  expect_nothing_taught(outcome);
  EXPECT_EQ(count_of(NW_REASON_ANSWER_MISMATCH), 1u);
}

TEST_F(ForgedAnswers, WrongQuestionType) {
  expect_nothing_taught(ask_forger([](const auto& q) {
    return DnsBytes(q.read.id, kFlagsAnswer, 1, 1)
        .question("example.com", 28)
        .record_at(12, 1, 60, address_data(ip(kEvil)))
        .bytes();
  }));
  EXPECT_EQ(count_of(NW_REASON_ANSWER_MISMATCH), 1u);
}

TEST_F(ForgedAnswers, ChaosClassQuestionOrRecord) {
  expect_nothing_taught(ask_forger([](const auto& q) {
    return DnsBytes(q.read.id, kFlagsAnswer, 1, 1)
        .question("example.com", 1, 3)
        .record_at(12, 1, 60, address_data(ip(kEvil)))
        .bytes();
  }));
  expect_nothing_taught(ask_forger([](const auto& q) {
    auto bytes = evil_answer(q);
    bytes[bytes.size() - 4 - 2 - 4 - 1] = 3;  // the record's class
    return bytes;
  }));
}

TEST_F(ForgedAnswers, QuestionInsteadOfAnAnswer) {
  const auto outcome = ask_forger([](const auto& q) { return evil_answer(q, kFlagsQuestion); });
  expect_nothing_taught(outcome);
  EXPECT_FALSE(outcome.lookup.answered);
}

TEST_F(ForgedAnswers, TruncatedWithAddresses) {
  const auto outcome = ask_forger([](const auto& q) { return evil_answer(q, kFlagsAnswer | kFlagTruncated); });
  expect_nothing_taught(outcome);
  EXPECT_TRUE(outcome.lookup.delivered());
  EXPECT_EQ(count_of(NW_REASON_ANSWER_TRUNCATED), 1u);
}

TEST_F(ForgedAnswers, NegativeWithAddresses) {
  for (const std::uint16_t rcode : {std::uint16_t{2}, kRcodeNxdomain, kRcodeRefused}) {
    const auto outcome =
        ask_forger([rcode](const auto& q) { return evil_answer(q, static_cast<std::uint16_t>(kFlagsAnswer | rcode)); });
    expect_nothing_taught(outcome);
    EXPECT_TRUE(outcome.lookup.delivered());
  }
}

TEST_F(ForgedAnswers, OtherOpcode) {
  expect_nothing_taught(ask_forger([](const auto& q) { return evil_answer(q, kFlagsAnswer | 0x2000); }));
}

TEST_F(ForgedAnswers, FromAnotherPortOrAddress) {
  // The client's socket is not connected: the kernel would deliver it.
  DnsServer server({SocketAddress(ip("127.0.0.54"), 53), SocketAddress(ip("127.0.0.53"), 5300)},
                   [](const auto&) { return std::vector<Reply>{}; });
  for (const std::size_t from : {0, 1}) {
    dns_->answer_with([&server, from](const ReceivedQuestion& q) {
      server.send_unasked(evil_answer(q), q.peer, from);
      return std::vector<Reply>{};
    });
    const bool received = in_cgroup(cgroup_, [] {
      const auto client = make_socket(AF_INET, SOCK_DGRAM);
      const auto question = make_question(77, "example.com", 1);
      const auto to = resolver();
      sendto(client.get(), question.data(), question.size(), 0, to.get(), to.length);
      return receive(client.get(), milliseconds(150)).has_value();
    });
    EXPECT_FALSE(received) << "a datagram from a peer that is not allowed";
    EXPECT_THAT(granted_addresses(), IsEmpty());
    EXPECT_EQ(tcp_inside(ip(kEvil)), ECONNREFUSED);
  }
}

TEST_F(ForgedAnswers, UnsolicitedToASocketThatAskedNothing) {
  Rendezvous turn;
  const SocketAddress client_address(ip("127.0.0.1"), 40053);
  WorkloadProcess child(cgroup_, [&] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    if (bind(client.get(), client_address.get(), client_address.length) != 0) return std::string("bind");
    turn.arrive_and_wait();
    return std::string(receive(client.get(), milliseconds(100)) ? "received" : "nothing");
  });
  ASSERT_TRUE(turn.await_arrival());
  dns_->send_unasked(
      DnsBytes(77, kFlagsAnswer, 1, 1).question("example.com", 1).record_at(12, 1, 60, address_data(ip(kEvil))).bytes(),
      client_address);
  turn.release();
  EXPECT_EQ(child.wait(), "nothing");
  EXPECT_THAT(granted_addresses(), IsEmpty());
}

TEST_F(ForgedAnswers, ToAnotherSocketOfTheSameWorkload) {
  // Both sockets are the workload's; the answer with the right id goes to the one that did not ask.
  const SocketAddress second_address(ip("127.0.0.1"), 40054);
  dns_->answer_with([&](const ReceivedQuestion& q) {
    dns_->send_unasked(evil_answer(q), second_address);
    return std::vector<Reply>{};
  });
  in_cgroup(cgroup_, [&] {
    const auto asking = make_socket(AF_INET, SOCK_DGRAM), second = make_socket(AF_INET, SOCK_DGRAM);
    const auto to = resolver();
    bind(second.get(), second_address.get(), second_address.length);
    connect(asking.get(), to.get(), to.length);
    ask_on(asking.get(), make_question(77, "example.com", 1), milliseconds(100));
  });
  EXPECT_THAT(granted_addresses(), IsEmpty());
  EXPECT_EQ(count_of(NW_REASON_ANSWER_UNSOLICITED), 1u);
}

TEST_F(ForgedAnswers, SecondAnswerToOneQuestion) {
  dns_->answer_with([](const ReceivedQuestion& q) {
    return std::vector<Reply>{{make_answer(q.bytes, {{"example.com", 60, "", ip("192.0.2.1")}})}, {evil_answer(q)}};
  });
  const auto received = in_cgroup(cgroup_, [] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    const auto to = resolver();
    connect(client.get(), to.get(), to.length);
    const auto question = make_question(77, "example.com", 1);
    send(client.get(), question.data(), question.size(), 0);
    int count = 0;
    while (receive(client.get(), milliseconds(100))) ++count;
    return count;
  });
  EXPECT_EQ(received, 1);
  EXPECT_THAT(granted_addresses(), testing::ElementsAre("192.0.2.1"));
}

TEST_F(ForgedAnswers, EightQuestionsArePendingOnOneSocketAndTheOldestGivesWay) {
  std::vector<ReceivedQuestion> pending;
  std::mutex mutex;
  dns_->answer_with([&](const ReceivedQuestion& q) -> std::vector<Reply> {
    const std::lock_guard lock(mutex);
    pending.push_back(q);
    if (pending.size() < 9) return {};
    std::vector<Reply> replies;
    for (std::size_t i = 0; i < pending.size(); ++i) {
      replies.push_back(
          {make_answer(pending[i].bytes, {{"example.com", 60, "", ip("192.0.2." + std::to_string(i + 1))}})});
    }
    return replies;
  });
  const auto received = in_cgroup(cgroup_, [] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    const auto to = resolver();
    connect(client.get(), to.get(), to.length);
    for (std::uint16_t id = 1; id <= 9; ++id) {
      const auto question = make_question(id, "example.com", 1);
      send(client.get(), question.data(), question.size(), 0);
    }
    int count = 0;
    while (receive(client.get(), milliseconds(100))) ++count;
    return count;
  });
  EXPECT_EQ(received, 8);
  EXPECT_EQ(granted_addresses().size(), 8u);
  EXPECT_EQ(tcp_inside(ip("192.0.2.1")), ECONNREFUSED) << "the ninth question took the place of the first";
  EXPECT_EQ(tcp_inside(ip("192.0.2.9")), 0);
}

TEST_F(ForgedAnswers, MalformedMessagesAreWithheldAndCounted) {
  const std::vector<std::pair<const char*, std::function<Bytes(const ReceivedQuestion&)>>> cases = {
      {"record past the end",
       [](const auto& q) {
         auto b = evil_answer(q);
         b.pop_back();
         return b;
       }},
      {"count too high",
       [](const auto& q) {
         auto b = evil_answer(q);
         b[7] = 2;
         return b;
       }},
      {"pointer to itself",
       [](const auto& q) {
         return DnsBytes(q.read.id, kFlagsAnswer, 1, 1)
             .question("example.com", 1)
             .record_at(29, 1, 60, address_data(ip(kEvil)))
             .bytes();
       }},
      {"pointer forward",
       [](const auto& q) {
         return DnsBytes(q.read.id, kFlagsAnswer, 1, 1)
             .question("example.com", 1)
             .record_at(200, 1, 60, address_data(ip(kEvil)))
             .bytes();
       }},
      {"A of three bytes",
       [](const auto& q) {
         return DnsBytes(q.read.id, kFlagsAnswer, 1, 1)
             .question("example.com", 1)
             .record_at(12, 1, 60, {203, 0, 113})
             .bytes();
       }},
      {"reserved label type",
       [](const auto& q) {
         return DnsBytes(q.read.id, kFlagsAnswer, 1, 1)
             .question("example.com", 1)
             .u8(0x80)
             .u8(0)
             .u16(1)
             .u16(1)
             .u32(60)
             .u16(4)
             .raw(address_data(ip(kEvil)))
             .bytes();
       }},
      {"two questions",
       [](const auto& q) {
         return DnsBytes(q.read.id, kFlagsAnswer, 2, 1)
             .question("example.com", 1)
             .question("example.com", 1)
             .record_at(12, 1, 60, address_data(ip(kEvil)))
             .bytes();
       }},
  };
  std::uint64_t before = 0;
  for (const auto& [what, forge] : cases) {
    const auto outcome = ask_forger(forge);
    EXPECT_FALSE(outcome.lookup.answered) << what;
    EXPECT_EQ(outcome.evil, ECONNREFUSED) << what;
    const auto after = count_of(NW_REASON_ANSWER_MALFORMED) + count_of(NW_REASON_ANSWER_MISMATCH);
    EXPECT_EQ(after, before + 1) << what;
    before = after;
  }
}

TEST_F(ForgedAnswers, TooLongToReadIsWithheld) {
  const auto outcome = ask_forger([](const auto& q) {
    std::vector<ZoneRecord> records(300, {"example.com", 60, "", ip(kEvil)});
    return make_answer(q.bytes, records);  // 4,829 bytes
  });
  expect_nothing_taught(outcome);
  EXPECT_FALSE(outcome.lookup.answered);
  EXPECT_EQ(count_of(NW_REASON_ANSWER_TOO_LONG), 1u);
}

TEST_F(ForgedAnswers, FromAnotherLocalProcessOnTheWorkloadsOwnPort) {
  // A neighbour outside guesses id and port at once; only the resolver's address is beyond it.
  Rendezvous turn;
  const SocketAddress client_address(ip("127.0.0.1"), 40055);
  dns_->answer_with([](const ReceivedQuestion&) { return std::vector<Reply>{}; });
  WorkloadProcess child(cgroup_, [&] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    bind(client.get(), client_address.get(), client_address.length);
    const auto to = resolver();
    const auto question = make_question(77, "example.com", 1);
    sendto(client.get(), question.data(), question.size(), 0, to.get(), to.length);
    turn.arrive_and_wait();
    return std::string(receive(client.get(), milliseconds(100)) ? "received" : "nothing");
  });
  ASSERT_TRUE(turn.await_arrival());
  const auto neighbour = make_socket(AF_INET, SOCK_DGRAM);
  const auto forged =
      DnsBytes(77, kFlagsAnswer, 1, 1).question("example.com", 1).record_at(12, 1, 60, address_data(ip(kEvil))).bytes();
  sendto(neighbour.get(), forged.data(), forged.size(), 0, client_address.get(), client_address.length);
  turn.release();
  EXPECT_EQ(child.wait(), "nothing");
  EXPECT_THAT(granted_addresses(), IsEmpty());
}

TEST_F(ForgedAnswers, WorkloadCannotBeItsOwnResolver) {
  // Another loopback address, port 53, served by the workload itself.
  in_cgroup(cgroup_, [] {
    const auto server = make_socket(AF_INET, SOCK_DGRAM), client = make_socket(AF_INET, SOCK_DGRAM);
    const SocketAddress at(ip("127.0.0.99"), 53);
    if (bind(server.get(), at.get(), at.length) != 0) return;
    connect(client.get(), at.get(), at.length);
    const auto question = make_question(77, "example.com", 1);
    send(client.get(), question.data(), question.size(), 0);
    SocketAddress peer;
    peer.length = sizeof(peer.storage);
    char buffer[512];
    if (recvfrom(server.get(), buffer, sizeof(buffer), MSG_DONTWAIT, peer.get(), &peer.length) < 0) return;
    const auto answer = make_answer(question, {{"example.com", 60, "", ip(kEvil)}});
    sendto(server.get(), answer.data(), answer.size(), 0, peer.get(), peer.length);
    receive(client.get(), milliseconds(100));
  });
  EXPECT_THAT(granted_addresses(), IsEmpty());
  EXPECT_EQ(tcp_inside(ip(kEvil)), ECONNREFUSED);
}

// A socket that once went to the trusted resolver goes to a server of the workload's own, which answers as it likes.
// `reconnect`: by connect, else by sendto.
void ask_own_server(const SocketAddress& own_server, bool reconnect) {
  const auto server = make_socket(AF_INET, SOCK_DGRAM), client = make_socket(AF_INET, SOCK_DGRAM);
  if (bind(server.get(), own_server.get(), own_server.length) != 0) return;
  const auto trusted = resolver();
  const auto question = make_question(77, "example.com", 1);
  if (reconnect) {
    connect(client.get(), trusted.get(), trusted.length);
    connect(client.get(), own_server.get(), own_server.length);
    send(client.get(), question.data(), question.size(), 0);
  } else {
    const auto other = make_question(78, "example.com", 1);
    sendto(client.get(), other.data(), other.size(), 0, trusted.get(), trusted.length);
    sendto(client.get(), question.data(), question.size(), 0, own_server.get(), own_server.length);
  }
  SocketAddress peer;
  peer.length = sizeof(peer.storage);
  char buffer[512];
  if (recvfrom(server.get(), buffer, sizeof(buffer), MSG_DONTWAIT, peer.get(), &peer.length) < 0) return;
  const auto answer = make_answer(question, {{"example.com", 600, "", ip(kEvil)}});
  sendto(server.get(), answer.data(), answer.size(), 0, peer.get(), peer.length);
  receive(client.get(), milliseconds(50));
}

TEST_F(ForgedAnswers, SocketThatKnowsTheResolverLearnsNothingFromTheWorkloadsOwnServer) {
  dns_->answer_with([](const ReceivedQuestion&) { return std::vector<Reply>{}; });
  // Any loopback address, and the trusted resolver's own at another port.
  for (const char* address : {"127.0.0.1", "127.0.0.53"}) {
    for (const bool reconnect : {true, false}) {
      in_cgroup(cgroup_, [&] { ask_own_server(SocketAddress(ip(address), 40053), reconnect); });
      EXPECT_THAT(granted_addresses(), IsEmpty()) << address << (reconnect ? " connected" : " sendto");
      EXPECT_EQ(tcp_inside(ip(kEvil)), ECONNREFUSED);
    }
  }
}

TEST_F(ForgedAnswers, SocketThatKnowsTheResolverLearnsNothingFromAnotherAllowedServer) {
  // The policy allows a UDP server that is not a resolver; it is in league with the workload.
  std::unique_ptr<DnsServer> accomplice;
  network_.in_far([&] {
    accomplice =
        std::make_unique<DnsServer>(std::vector{SocketAddress(ip("192.0.2.1"), 5300)},
                                    [](const ReceivedQuestion& q) { return std::vector<Reply>{{evil_answer(q)}}; });
  });
  replace(make_policy({"example.com", "udp://192.0.2.1:5300"}));
  for (const bool reconnect : {true, false}) {
    in_cgroup(cgroup_, [&] {
      const SocketAddress other(ip("192.0.2.1"), 5300);
      const auto trusted = resolver();
      const auto client = make_socket(AF_INET, SOCK_DGRAM);
      const auto question = make_question(77, "example.com", 1), first = make_question(78, "example.com", 1);
      if (reconnect) {
        connect(client.get(), trusted.get(), trusted.length);
        connect(client.get(), other.get(), other.length);
        send(client.get(), question.data(), question.size(), 0);
      } else {
        sendto(client.get(), first.data(), first.size(), 0, trusted.get(), trusted.length);
        sendto(client.get(), question.data(), question.size(), 0, other.get(), other.length);
      }
      receive(client.get(), milliseconds(300));
    });
    EXPECT_EQ(tcp_inside(ip(kEvil)), ECONNREFUSED) << (reconnect ? "connected" : "sendto");
  }
}

TEST_F(ForgedAnswers, TrustedResolversAddressCannotBeBound) {
  dns_.reset();  // its place is free
  const auto errors = in_cgroup(cgroup_, [] {
    struct {
      int udp, tcp, any;
    } result{};
    const auto at = resolver();
    const SocketAddress any(ip("0.0.0.0"), 53);
    const auto udp = make_socket(AF_INET, SOCK_DGRAM), tcp = make_socket(AF_INET, SOCK_STREAM),
               wildcard = make_socket(AF_INET, SOCK_DGRAM);
    result.udp = bind(udp.get(), at.get(), at.length) == 0 ? 0 : errno;
    result.tcp = bind(tcp.get(), at.get(), at.length) == 0 ? 0 : errno;
    result.any = bind(wildcard.get(), any.get(), any.length) == 0 ? 0 : errno;
    return result;
  });
  EXPECT_NE(errors.udp, 0);
  EXPECT_NE(errors.tcp, 0);
  EXPECT_NE(errors.any, 0) << "0.0.0.0:53 answers for 127.0.0.53:53";
  EXPECT_THAT(take_reasons(), Contains("bind_resolver"));
}

}  // namespace
}  // namespace namewall::kernel_tests
