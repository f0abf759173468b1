#include "agent/socket_destroy.h"

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

#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

struct Connection {
  FileDescriptor listener, client;
  sockaddr_in local{}, remote{};
};

Result<Connection> make_connection() {
  Connection out;
  out.listener = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  out.client = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  out.remote.sin_family = AF_INET;
  out.remote.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof out.remote;
  auto* remote = reinterpret_cast<sockaddr*>(&out.remote);
  if (bind(out.listener.get(), remote, length) != 0 || listen(out.listener.get(), 1) != 0 ||
      getsockname(out.listener.get(), remote, &length) != 0 || connect(out.client.get(), remote, length) != 0 ||
      getsockname(out.client.get(), reinterpret_cast<sockaddr*>(&out.local), &length) != 0) {
    return fail_errno(errno, "cannot make a connection over 127.0.0.1");
  }
  return out;
}

}  // namespace

Result<void> send_socket_destroy(int diagnosis, const inet_diag_req_v2& request) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DESTROY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message.request = request;
  if (send(diagnosis, &message, sizeof message, 0) < 0) return fail_errno(errno, "cannot send SOCK_DESTROY");

  alignas(nlmsghdr) std::array<char, 1024> reply{};
  const ssize_t length = recv(diagnosis, reply.data(), reply.size(), 0);
  nlmsghdr header{};
  nlmsgerr acknowledgement{};
  if (length < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof acknowledgement)) {
    return fail(ErrorKind::kSystem, "SOCK_DESTROY was not acknowledged");
  }
  std::memcpy(&header, reply.data(), sizeof header);
  std::memcpy(&acknowledgement, reply.data() + NLMSG_HDRLEN, sizeof acknowledgement);
  if (header.nlmsg_type != NLMSG_ERROR) return fail(ErrorKind::kSystem, "SOCK_DESTROY was not acknowledged");
  if (acknowledgement.error != 0) return fail_errno(-acknowledgement.error, "SOCK_DESTROY");
  return {};
}

Result<void> try_socket_destroy() {
  auto connection = make_connection();
  if (!connection) return tl::unexpected(connection.error());
  const FileDescriptor netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return fail_errno(errno, "cannot open NETLINK_SOCK_DIAG");

  inet_diag_req_v2 request{};
  request.sdiag_family = AF_INET;
  request.sdiag_protocol = IPPROTO_TCP;
  request.idiag_states = 1u << TCP_ESTABLISHED;
  request.id.idiag_sport = connection->local.sin_port;
  request.id.idiag_dport = connection->remote.sin_port;
  request.id.idiag_src[0] = connection->local.sin_addr.s_addr;
  request.id.idiag_dst[0] = connection->remote.sin_addr.s_addr;
  request.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  if (auto destroyed = send_socket_destroy(netlink.get(), request); !destroyed) return destroyed;
  if (send(connection->client.get(), "x", 1, MSG_NOSIGNAL) >= 0) {
    return fail(ErrorKind::kUnsupported, "SOCK_DESTROY was acknowledged, but the connection lives");
  }
  return {};
}

}  // namespace namewall::agent
