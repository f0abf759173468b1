// Ways a workload could try to reach a forbidden address or to smuggle a name past the question check. Each runs in a
// forked child inside an armed cgroup whose policy allows kAllowed4, kAllowed6 (TCP and UDP 443, ICMP) and the name
// "example.com" only. What left the host is the sniffer's business, not the action's.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace namewall::kernel_tests {

inline constexpr char kAllowed4[] = "192.0.2.1", kAllowed6[] = "2001:db8::1";
inline constexpr char kEvil4[] = "203.0.113.66", kEvil6[] = "2001:db8:bad::66";
// A label that must not appear on the wire.
inline constexpr char kSecret[] = "s3cr3t";

struct EscapeAction {
  std::string id;  // stable: the first column of docs/ways_around.md for those that stay open
  std::function<void()> act;
  bool leaks = false;  // open, and listed
};

std::vector<EscapeAction> socket_escapes();    // through the socket calls
std::vector<EscapeAction> packet_escapes();    // through headers, raw packets and the kernel's own senders
std::vector<EscapeAction> question_escapes();  // through DNS questions to the trusted resolver

// One io_uring operation (OP_CONNECT or OP_SENDMSG) on a fresh ring; false where the host has no io_uring.
bool io_uring_connect(int socket, const void* address, unsigned length);
bool io_uring_sendmsg(int socket, const void* message);

}  // namespace namewall::kernel_tests
