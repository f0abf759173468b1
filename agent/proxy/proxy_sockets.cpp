#include "agent/proxy/proxy_sockets.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "agent/proxy/socket_endpoint.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif

namespace namewall::agent {
namespace {

constexpr int kPortTries = 32;           // a free UDP port whose TCP port is taken
constexpr int kReceiveBuffer = 2 << 20;  // some 5,000 questions: what comes while one turn is busy
constexpr int kBacklog = 128;

int option_of(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

bool set_option(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

// The address of a socket may be there although the interface is not (ip_nonlocal_bind).
bool is_loopback_up(int fd) {
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  return ::ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

Result<FileDescriptor> make_socket(int family, int type) {
  FileDescriptor made(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made) {
    const int error = errno;
    const std::string what = "cannot open a socket for the DNS proxy";
    if (error == EAFNOSUPPORT) return fail(ErrorKind::kUnsupported, what, error);
    return fail_errno(error, what);
  }
  if (family == AF_INET6 && !set_option(made.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
    return fail_errno(errno, "cannot set IPV6_V6ONLY");
  }
  return made;
}

Result<FileDescriptor> open_udp(int family) {
  auto udp = make_socket(family, SOCK_DGRAM);
  if (!udp) return udp;
  if (!set_option(udp->get(), SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer)) {
    (void)set_option(udp->get(), SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
  }
  if (!set_option(udp->get(), SOL_SOCKET, SO_RCVMARK, 1) && errno != ENOPROTOOPT) {
    return fail_errno(errno, "cannot have the marks of DNS questions (SO_RCVMARK)");
  }
  return udp;
}

Result<ResolverAddress> name_of(int fd) {
  SocketEndpoint endpoint;
  socklen_t length = sizeof endpoint;
  if (::getsockname(fd, &endpoint.any, &length) != 0) return fail_errno(errno, "cannot tell a socket's address");
  if (endpoint.any.sa_family != AF_INET && endpoint.any.sa_family != AF_INET6) {
    return fail(ErrorKind::kInvalid, "not an IP socket");
  }
  return endpoint.where();
}

Result<std::uint64_t> cookie_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (::getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) != 0) {
    return fail_errno(errno, "cannot tell the network namespace of a socket (SO_NETNS_COOKIE)");
  }
  return cookie;
}

}  // namespace

Result<ProxySockets> open_proxy_sockets(const ResolverAddress& resolver) {
  const bool is_ipv6 = !resolver.address.is_v4();
  const int family = is_ipv6 ? AF_INET6 : AF_INET;
  for (int attempt = 0; attempt < kPortTries; ++attempt) {
    auto udp = open_udp(family);
    if (!udp) return tl::unexpected(udp.error());
    if (!is_loopback_up(udp->get())) {
      return fail(ErrorKind::kUnsupported, "the loopback interface of the network namespace is down");
    }
    const SocketEndpoint any_port(loopback_of(is_ipv6, Port{0}));
    if (::bind(udp->get(), &any_port.any, any_port.length()) != 0) {
      if (errno == EADDRNOTAVAIL) {
        return fail(ErrorKind::kUnsupported, "the network namespace has no loopback address of this family", errno);
      }
      return fail_errno(errno, "cannot bind a UDP port for the DNS proxy");
    }
    const auto place = name_of(udp->get());
    if (!place) return tl::unexpected(place.error());
    auto tcp = make_socket(family, SOCK_STREAM);
    if (!tcp) return tl::unexpected(tcp.error());
    const SocketEndpoint same_port(*place);
    if (::bind(tcp->get(), &same_port.any, same_port.length()) == 0) {
      if (::listen(tcp->get(), kBacklog) == 0) return ProxySockets{std::move(*udp), std::move(*tcp)};
    }
    if (errno != EADDRINUSE) return fail_errno(errno, "cannot listen on a TCP port for the DNS proxy");
  }
  return fail(ErrorKind::kLimit, "found no port that is free for both UDP and TCP");
}

Result<ProxySocketsPlace> locate(const ProxySockets& sockets) {
  const int udp = sockets.udp.get(), tcp = sockets.tcp.get();
  if (option_of(udp, SO_TYPE) != SOCK_DGRAM || option_of(udp, SO_PROTOCOL) != IPPROTO_UDP ||
      option_of(tcp, SO_TYPE) != SOCK_STREAM || option_of(tcp, SO_PROTOCOL) != IPPROTO_TCP ||
      option_of(tcp, SO_ACCEPTCONN) != 1) {
    return fail(ErrorKind::kInvalid, "not a UDP socket and a listening TCP socket");
  }
  for (const int fd : {udp, tcp}) {
    if (option_of(fd, SO_REUSEADDR) != 0 || option_of(fd, SO_REUSEPORT) != 0) {
      return fail(ErrorKind::kInvalid, "others could bind to the sockets' port");
    }
  }
  const auto udp_name = name_of(udp), tcp_name = name_of(tcp);
  if (!udp_name) return tl::unexpected(udp_name.error());
  if (!tcp_name) return tl::unexpected(tcp_name.error());
  const bool is_ipv6 = option_of(udp, SO_DOMAIN) == AF_INET6;
  if (*udp_name != *tcp_name || udp_name->port.number == 0 || *udp_name != loopback_of(is_ipv6, udp_name->port)) {
    return fail(ErrorKind::kInvalid, "the sockets are not bound to one port of loopback");
  }
  const auto udp_cookie = cookie_of(udp), tcp_cookie = cookie_of(tcp);
  if (!udp_cookie) return tl::unexpected(udp_cookie.error());
  if (!tcp_cookie) return tl::unexpected(tcp_cookie.error());
  if (*udp_cookie != *tcp_cookie) return fail(ErrorKind::kInvalid, "the sockets are of two network namespaces");
  return ProxySocketsPlace{*udp_cookie, udp_name->port, is_ipv6};
}

}  // namespace namewall::agent
