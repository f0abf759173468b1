// The answers that the agent injects, on real sockets. Each test runs in a child process with a network namespace of
// its own, so that addresses and sysctls are its own too.
#include "agent/refusal_answer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>

#include "bpf/enforcer.h"
#include "policy/dns_message.h"

namespace namewall::agent {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr BootTime kNow{std::chrono::seconds(1000)};

bool shell(const std::string& command) { return std::system(("{ " + command + "; } >/dev/null 2>&1").c_str()) == 0; }

// Runs `body` in a child with a fresh network namespace whose loopback is up; `body` returns "" or what went wrong.
std::string in_own_netns(const std::function<std::string()>& body) {
  int ends[2];
  if (pipe(ends) != 0) return "pipe";
  const pid_t child = fork();
  if (child == 0) {
    std::string problem;
    if (unshare(CLONE_NEWNET) != 0) {
      problem = "unshare(CLONE_NEWNET) failed";
    } else if (!shell("ip link set lo up")) {
      problem = "cannot set lo up";
    } else {
      problem = body();
    }
    if (write(ends[1], problem.data(), problem.size()) < 0) _exit(2);
    _exit(0);
  }
  close(ends[1]);
  std::string problem;
  char buffer[512];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) problem.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) problem += " (child died)";
  return problem;
}

// A client's socket and the question packet that it would have sent, had the kernel let it.
struct Client {
  int fd = -1;
  Bytes packet;
};

std::uint64_t own_cookie() {
  const auto cookie = bpf::netns_cookie();
  return cookie ? *cookie : 0;
}

Bytes ip_packet(const sockaddr_storage& source, const std::string& destination) {
  const Bytes message = build_question({0x1234, DomainName::from_normal("github.com"), kTypeA, 1}, true);
  const std::size_t udp_length = 8 + message.size();
  Bytes out;
  std::uint16_t port_be = 0;
  if (source.ss_family == AF_INET) {
    const auto& from = reinterpret_cast<const sockaddr_in&>(source);
    out.assign(20, 0);
    out[0] = 0x45;
    out[2] = static_cast<std::uint8_t>((20 + udp_length) >> 8);
    out[3] = static_cast<std::uint8_t>(20 + udp_length);
    out[8] = 64;
    out[9] = 17;
    memcpy(&out[12], &from.sin_addr, 4);
    inet_pton(AF_INET, destination.c_str(), &out[16]);
    port_be = from.sin_port;
  } else {
    const auto& from = reinterpret_cast<const sockaddr_in6&>(source);
    out.assign(40, 0);
    out[0] = 0x60;
    out[4] = static_cast<std::uint8_t>(udp_length >> 8);
    out[5] = static_cast<std::uint8_t>(udp_length);
    out[6] = 17;
    out[7] = 64;
    memcpy(&out[8], &from.sin6_addr, 16);
    inet_pton(AF_INET6, destination.c_str(), &out[24]);
    port_be = from.sin6_port;
  }
  const std::uint16_t port = ntohs(port_be);
  const Bytes udp = {static_cast<std::uint8_t>(port >> 8),       static_cast<std::uint8_t>(port),       0,    53,
                     static_cast<std::uint8_t>(udp_length >> 8), static_cast<std::uint8_t>(udp_length), 0xba, 0xd0};
  out.insert(out.end(), udp.begin(), udp.end());
  out.insert(out.end(), message.begin(), message.end());
  return out;
}

sockaddr_storage socket_address(const std::string& address, std::uint16_t port, socklen_t& length) {
  sockaddr_storage out{};
  if (address.find(':') == std::string::npos) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    inet_pton(AF_INET, address.c_str(), &v4.sin_addr);
    length = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr);
    length = sizeof v6;
  }
  return out;
}

// A connected socket takes datagrams from `resolver`:53 only: the answer's source is proved with it.
Client make_client(const std::string& own, const std::string& resolver) {
  socklen_t length = 0;
  sockaddr_storage local = socket_address(own, 0, length);
  Client client;
  client.fd = socket(local.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (bind(client.fd, reinterpret_cast<sockaddr*>(&local), length) != 0) return client;
  const sockaddr_storage remote = socket_address(resolver, 53, length);
  if (connect(client.fd, reinterpret_cast<const sockaddr*>(&remote), length) != 0) return client;
  getsockname(client.fd, reinterpret_cast<sockaddr*>(&local), &length);
  client.packet = ip_packet(local, resolver);
  return client;
}

Event refused_question(const Bytes& packet) {
  Event event;
  event.time = kNow;
  event.hook = Hook::kQuestion;
  event.reason = NW_REASON_NAME_NOT_ALLOWED;
  event.netns_cookie = own_cookie();
  event.packet = packet;
  return event;
}

std::string expect_answer(const std::string& own, const std::string& resolver,
                          Reason reason = NW_REASON_NAME_NOT_ALLOWED, unsigned rcode = 3) {
  auto answerer = RefusalAnswerer::open();
  if (!answerer) return answerer.error().message();
  const Client client = make_client(own, resolver);
  if (client.packet.empty()) return "the client could not connect to " + resolver;
  pollfd ready{client.fd, POLLIN, 0};
  for (int attempt = 0; ready.revents == 0; ++attempt) {  // IPv6 routes of a fresh namespace take a moment
    if (attempt == 5) return "no answer arrived";
    Event event = refused_question(client.packet);
    event.reason = reason;
    const auto sent = answerer->answer(event, words_for(event, nullptr), kNow);
    if (!sent) return sent.error().message();
    poll(&ready, 1, 500);
  }
  Bytes answer(600);
  const ssize_t length = recv(client.fd, answer.data(), answer.size(), 0);
  if (length < 12) return "the client got an error instead of an answer";
  answer.resize(static_cast<std::size_t>(length));
  const auto parsed = parse_answer(answer);
  if (!parsed) return parsed.error().message();
  if (parsed->id != 0x1234 || parsed->rcode != rcode || parsed->question_name.text() != "github.com")
    return "a wrong answer";
  return {};
}

TEST(RefusalAnswer, IsGivenToQuestionsThatWereRefusedByTheirName) {
  Event event = refused_question({1});
  for (const Reason reason : {NW_REASON_NAME_NOT_ALLOWED, NW_REASON_FRESH_NAMES}) {
    event.reason = reason;
    EXPECT_TRUE(wants_answer(event));
  }
  event.audit = true;
  EXPECT_FALSE(wants_answer(event));
  event.audit = false;
  event.reason = NW_REASON_UNTRUSTED_NETNS;
  EXPECT_FALSE(wants_answer(event));
}

TEST(RefusalAnswer, IsRefusedBeyondABound) {
  EXPECT_EQ(in_own_netns([] { return expect_answer("127.0.0.1", "127.0.0.53", NW_REASON_FRESH_NAMES, 5); }), "");
}

TEST(RefusalAnswer, ReachesAClientOfALoopbackResolverWhereNobodyListens) {
  EXPECT_EQ(in_own_netns([] { return expect_answer("127.0.0.1", "127.0.0.53"); }), "");
}

TEST(RefusalAnswer, ReachesAClientOverIpv6Loopback) {
  EXPECT_EQ(in_own_netns([] { return expect_answer("::1", "::1"); }), "");
}

TEST(RefusalAnswer, ReachesAClientOnAnotherAddressOfTheHost) {
  EXPECT_EQ(in_own_netns([] {
              if (!shell("ip addr add 10.77.0.2/24 dev lo")) return std::string("cannot add the address");
              return expect_answer("10.77.0.2", "10.77.0.1");
            }),
            "");
}

TEST(RefusalAnswer, ReachesAClientOnAnotherIpv6AddressOfTheHost) {
  EXPECT_EQ(in_own_netns([] {
              if (!shell("ip addr add fd77::2/64 dev lo nodad") || !shell("ip route add fd77::/64 dev lo")) {
                return std::string("cannot add the address");
              }
              return expect_answer("fd77::2", "fd77::1");
            }),
            "");
}

// What a workload with IP_TRANSPARENT or its own packets could do: a foreign source, so that the agent sends there.
std::string refusal_for(const std::string& forged_source, const std::function<void(Event&)>& change = {}) {
  auto answerer = RefusalAnswerer::open();
  if (!answerer) return answerer.error().message();
  socklen_t length = 0;
  Event event = refused_question(ip_packet(socket_address(forged_source, 4000, length),
                                           forged_source.find(':') == std::string::npos ? "127.0.0.53" : "::1"));
  if (change) change(event);
  const auto sent = answerer->answer(event, words_for(event, nullptr), kNow);
  return sent ? "sent" : sent.error().what;
}

TEST(RefusalAnswer, IsNotSentToASourceThatIsNotLocal) {
  const std::string refusal = "the refused question's source is not an address of this host";
  EXPECT_EQ(in_own_netns([] {
              shell("ip route add default dev lo");
              return refusal_for("192.0.2.1");
            }),
            refusal);
  EXPECT_EQ(in_own_netns([] {
              shell("ip -6 route add default dev lo");
              return refusal_for("2001:db8::1");
            }),
            refusal);
}

TEST(RefusalAnswer, IsNotSentWhereNonlocalBindMakesLocalUnprovable) {
  const std::string refusal = "ip_nonlocal_bind is on: cannot prove that the refused question came from here";
  EXPECT_EQ(in_own_netns([] {
              if (!shell("echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind")) return std::string("cannot set the sysctl");
              return refusal_for("192.0.2.1");
            }),
            refusal);
}

TEST(RefusalAnswer, IsNotSentForAnotherNetworkNamespace) {
  EXPECT_EQ(in_own_netns([] { return refusal_for("127.0.0.1", [](Event& event) { ++event.netns_cookie; }); }),
            "the refused question was asked in another network namespace");
}

TEST(RefusalAnswer, IsNotSentForAnOldEvent) {
  EXPECT_EQ(in_own_netns([] {
              return refusal_for("127.0.0.1", [](Event& event) {
                event.time = BootTime{kNow.since_boot - RefusalAnswerer::kMaxAge - Nanoseconds(1)};
              });
            }),
            "the refused question is too old to be answered");
}

TEST(RefusalAnswer, IsNotSentForAPacketThatIsNoQuestion) {
  EXPECT_EQ(in_own_netns([] { return refusal_for("127.0.0.1", [](Event& event) { event.packet.pop_back(); }); }),
            "the refused packet is not one well-formed question");
}

}  // namespace
}  // namespace namewall::agent
