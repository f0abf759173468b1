#include "agent/proxy/peer_cgroup.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "agent/inet_diag.h"

namespace namewall::agent {
namespace {

constexpr int kMaxReplies = 16;  // replies of an interrupted lookup may wait in front

// Where the connection's own socket is gone, the kernel gives the one that listens at its port.
bool is_connection_to(std::span<const char> payload, const ResolverAddress& its_remote) {
  inet_diag_msg found{};
  if (payload.size() < sizeof found) return false;
  std::memcpy(&found, payload.data(), sizeof found);
  return found.idiag_state != TCP_LISTEN && found.id.idiag_dport == htons(its_remote.port.number);
}

std::optional<std::uint64_t> cgroup_in(std::span<const char> payload) {
  std::optional<std::uint64_t> cgroup;
  for_each_diag_attribute(payload, [&cgroup](unsigned type, std::span<const char> value) {
    std::uint64_t id = 0;
    if (type != INET_DIAG_CGROUP_ID || value.size() != sizeof id) return;
    std::memcpy(&id, value.data(), sizeof id);
    cgroup = id;
  });
  return cgroup;
}

}  // namespace

Result<std::uint64_t> find_cgroup_of_connection(int diagnosis, const ResolverAddress& its_local,
                                                const ResolverAddress& its_remote) {
  static thread_local std::uint32_t sequence = 0;
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  const int family = its_local.address.is_v4() ? AF_INET : AF_INET6;
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST;
  message.header.nlmsg_seq = ++sequence;
  message.request.sdiag_family = static_cast<std::uint8_t>(family);
  message.request.sdiag_protocol = IPPROTO_TCP;
  message.request.idiag_states = ~0u;
  message.request.id.idiag_sport = htons(its_local.port.number);
  message.request.id.idiag_dport = htons(its_remote.port.number);
  write_diag_address(family, its_local.address, message.request.id.idiag_src);
  write_diag_address(family, its_remote.address, message.request.id.idiag_dst);
  message.request.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  message.request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  if (::send(diagnosis, &message, sizeof message, 0) < 0) return fail_errno(errno, "cannot ask for a socket");

  alignas(nlmsghdr) std::array<char, 4096> reply{};
  for (int replies = 0; replies < kMaxReplies; ++replies) {
    // The kernel has answered when send() returns.
    const ssize_t length = ::recv(diagnosis, reply.data(), reply.size(), MSG_DONTWAIT);
    if (length < 0) return fail_errno(errno, "cannot read what the kernel says of a socket");
    nlmsghdr header{};
    if (static_cast<std::size_t>(length) < sizeof header) break;
    std::memcpy(&header, reply.data(), sizeof header);
    if (header.nlmsg_seq != message.header.nlmsg_seq) continue;
    if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > static_cast<std::size_t>(length)) break;
    const std::span<const char> payload(reply.data() + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
    if (header.nlmsg_type == NLMSG_ERROR && payload.size() >= sizeof(int)) {
      int error = 0;
      std::memcpy(&error, payload.data(), sizeof error);
      if (error == -ENOENT) return fail(ErrorKind::kNotFound, "the socket of the peer is gone", ENOENT);
      return fail_errno(-error, "cannot look up the socket of the peer");
    }
    if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY) break;
    if (!is_connection_to(payload, its_remote)) return fail(ErrorKind::kNotFound, "the socket of the peer is gone");
    const auto cgroup = cgroup_in(payload);
    if (!cgroup) return fail(ErrorKind::kUnsupported, "sock_diag does not tell the cgroup of the peer's socket");
    return *cgroup;
  }
  return fail(ErrorKind::kSystem, "sock_diag gave no answer");
}

}  // namespace namewall::agent
