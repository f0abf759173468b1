#include "agent/refusal_answer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "policy/file_descriptor.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef IPV6_HDRINCL
#define IPV6_HDRINCL 36
#endif

namespace namewall::agent {
namespace {

using Outlet = RefusalSockets::Outlet;

Result<Outlet> open_outlet(int family) {
  const bool v4 = family == AF_INET;
  Outlet outlet;
  outlet.raw = FileDescriptor(socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
  if (outlet.raw.get() < 0) return fail_errno(errno, "cannot open a raw socket for answers to refused questions");
  const int one = 1;
  if (setsockopt(outlet.raw.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_HDRINCL : IPV6_HDRINCL, &one, sizeof one) !=
      0) {
    return fail_errno(errno, "cannot set IP_HDRINCL for answers to refused questions");
  }
  const char* sysctl = v4 ? "/proc/sys/net/ipv4/ip_nonlocal_bind" : "/proc/sys/net/ipv6/ip_nonlocal_bind";
  outlet.nonlocal_bind = FileDescriptor(open(sysctl, O_RDONLY | O_CLOEXEC));
  return outlet;
}

// Where bind() to a foreign address succeeds it proves nothing. An unreadable switch counts as on.
bool allows_foreign_bind(const Outlet& outlet) {
  char value = '1';
  return pread(outlet.nonlocal_bind.get(), &value, 1, 0) != 1 || value != '0';
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

// The client: what the answer's header has as destination.
SocketAddress client_of(std::span<const std::uint8_t> answer) {
  SocketAddress out;
  if (answer[0] >> 4 == 4) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    std::memcpy(&address.sin_addr, answer.data() + 16, 4);
    std::memcpy(&out.storage, &address, out.length = sizeof address);
  } else {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    std::memcpy(&address.sin6_addr, answer.data() + 24, 16);
    std::memcpy(&out.storage, &address, out.length = sizeof address);
  }
  return out;
}

}  // namespace

struct RefusalAnswerer::State {
  RefusalSockets sockets;
  std::uint64_t netns_cookie = 0;
};

bool wants_answer(const Event& event) {
  return event.hook == Hook::kQuestion && !event.audit && !event.packet.empty() &&
         (event.reason == NW_REASON_NAME_NOT_ALLOWED || event.reason == NW_REASON_FRESH_NAMES);
}

Result<RefusalSockets> open_refusal_sockets() {
  RefusalSockets sockets;
  auto v4 = open_outlet(AF_INET);
  if (!v4) return tl::unexpected(v4.error());
  sockets.v4 = std::move(*v4);
  auto v6 = open_outlet(AF_INET6);
  if (v6) {
    sockets.v6 = std::move(*v6);
  } else if (v6.error().error_number != EAFNOSUPPORT) {
    return tl::unexpected(v6.error());
  }
  return sockets;
}

RefusalAnswerer::RefusalAnswerer(std::unique_ptr<State> state) : state_(std::move(state)) {}
RefusalAnswerer::RefusalAnswerer(RefusalAnswerer&&) noexcept = default;
RefusalAnswerer& RefusalAnswerer::operator=(RefusalAnswerer&&) noexcept = default;
RefusalAnswerer::~RefusalAnswerer() = default;

Result<RefusalAnswerer> RefusalAnswerer::open() {
  auto sockets = open_refusal_sockets();
  if (!sockets) return tl::unexpected(sockets.error());
  return adopt(std::move(*sockets));
}

Result<RefusalAnswerer> RefusalAnswerer::adopt(RefusalSockets sockets) {
  auto state = std::make_unique<State>();
  state->sockets = std::move(sockets);
  socklen_t length = sizeof state->netns_cookie;
  if (getsockopt(state->sockets.v4.raw.get(), SOL_SOCKET, SO_NETNS_COOKIE, &state->netns_cookie, &length) != 0) {
    return fail_errno(errno, "cannot tell this network namespace from others (SO_NETNS_COOKIE)");
  }
  return RefusalAnswerer(std::move(state));
}

std::uint64_t RefusalAnswerer::netns_cookie() const { return state_->netns_cookie; }

Result<void> RefusalAnswerer::answer(const Event& event, const RefusalWords& words, BootTime now) {
  if (now - event.time > kMaxAge) return fail(ErrorKind::kLimit, "the refused question is too old to be answered");
  if (event.netns_cookie != state_->netns_cookie) {
    return fail(ErrorKind::kConflict, "the refused question was asked in another network namespace");
  }
  const auto answer = build_refusal_answer(event.packet, words.refuse_with, words.text);
  if (!answer) return fail(ErrorKind::kInvalid, "the refused packet is not one well-formed question");

  const SocketAddress client = client_of(*answer);
  const auto* address = reinterpret_cast<const sockaddr*>(&client.storage);
  const Outlet& outlet = client.storage.ss_family == AF_INET ? state_->sockets.v4 : state_->sockets.v6;
  if (allows_foreign_bind(outlet)) {
    return fail(ErrorKind::kUnsupported,
                "ip_nonlocal_bind is on: cannot prove that the refused question came from here");
  }
  if (bind(outlet.raw.get(), address, client.length) != 0) {
    return fail(ErrorKind::kConflict, "the refused question's source is not an address of this host", errno);
  }
  if (sendto(outlet.raw.get(), answer->data(), answer->size(), MSG_DONTWAIT | MSG_NOSIGNAL, address, client.length) <
      0) {
    return fail_errno(errno, "cannot send the answer to a refused question");
  }
  return {};
}

}  // namespace namewall::agent
