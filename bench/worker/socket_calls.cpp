#include "bench/worker/socket_calls.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace namewall::bench {
namespace {

constexpr char kPayload[32] = "thirty-one bytes of a datagram.";
constexpr std::size_t kHotSenders = 1;
constexpr std::size_t kColdSenders = 256;

const sockaddr* generic(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

Result<void> open_udp(Descriptor& socket) {
  if (socket.get() >= 0) return {};
  socket = Descriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return fail_errno(errno, "make a UDP socket");
  return {};
}

Result<void> connect_udp(const Descriptor& socket, const sockaddr_in& to) {
  if (connect(socket.get(), generic(to), sizeof(to)) != 0) return fail_errno(errno, "connect a UDP socket");
  return {};
}

Result<void> open_senders(std::vector<Descriptor>& senders, std::size_t count, Destinations& destinations) {
  while (senders.size() < count) {
    Descriptor socket;
    if (Result<void> opened = open_udp(socket); !opened) return opened;
    if (Result<void> connected = connect_udp(socket, destinations.next()); !connected) return connected;
    senders.push_back(std::move(socket));
  }
  return {};
}

void reset_on_close(int fd) {
  const linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

}  // namespace

SocketCalls::SocketCalls(int listener, std::uint16_t listener_port, std::uint16_t sink_port, std::uint32_t grants)
    : listener_(listener),
      tcp_hot_(Destinations::hot(listener_port)),
      tcp_cold_(Destinations::cold(grants, listener_port)),
      udp_hot_(Destinations::hot(sink_port)),
      udp_cold_(Destinations::cold(grants, sink_port)) {}

Result<SocketCalls::Call> SocketCalls::find(const std::string& name, bool cold) {
  Destinations& udp = cold ? udp_cold_ : udp_hot_;
  Destinations& tcp = cold ? tcp_cold_ : tcp_hot_;
  Result<void> opened;
  if (name == "udp_connect") opened = open_udp(connecting_);
  std::vector<Descriptor>& senders = cold ? cold_senders_ : hot_senders_;
  if (name == "udp_send") opened = open_senders(senders, cold ? kColdSenders : kHotSenders, udp);
  if (name == "udp_sendto") opened = open_udp(unconnected_);
  if (name == "tcp_ping_pong") opened = open_conversation(tcp.next());
  if (!opened) return tl::unexpected<Error>(std::move(opened.error()));

  if (name == "udp_connect") return Call([this, &udp](std::uint32_t) { return udp_connect(udp); });
  if (name == "tcp_connect_close") return Call([this, &tcp](std::uint32_t) { return tcp_connect_close(tcp); });
  if (name == "tcp_connect_accept_close")
    return Call([this, &tcp](std::uint32_t) { return tcp_connect_accept_close(tcp); });
  if (name == "tcp_ping_pong") return Call([this](std::uint32_t) { return tcp_ping_pong(); });
  if (name == "udp_send") return Call([this, &senders](std::uint32_t i) { return udp_send(i, senders); });
  if (name == "udp_sendto") return Call([this, &udp](std::uint32_t) { return udp_sendto(udp); });
  return fail(ErrorKind::kInvalid, "no operation is called " + name);
}

Result<void> SocketCalls::udp_connect(Destinations& destinations) {
  return connect_udp(connecting_, destinations.next());
}

Result<void> SocketCalls::tcp_connect_close(Destinations& destinations) {
  const sockaddr_in& to = destinations.next();
  const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (client.get() < 0) return fail_errno(errno, "make a TCP socket");
  if (connect(client.get(), generic(to), sizeof(to)) != 0) return fail_errno(errno, "connect a TCP socket");
  return {};
}

// The server's end closes first, so that TIME_WAIT stays on its side and the client's port is free again.
Result<void> SocketCalls::tcp_connect_accept_close(Destinations& destinations) {
  const sockaddr_in& to = destinations.next();
  const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (client.get() < 0) return fail_errno(errno, "make a TCP socket");
  if (connect(client.get(), generic(to), sizeof(to)) != 0) return fail_errno(errno, "connect a TCP socket");
  const Descriptor served(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
  if (served.get() < 0) return fail_errno(errno, "accept");
  return {};
}

Result<void> SocketCalls::open_conversation(const sockaddr_in& to) {
  if (served_.get() >= 0) return {};
  client_ = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (client_.get() < 0) return fail_errno(errno, "make a TCP socket");
  const int at_once = 1;
  if (connect(client_.get(), generic(to), sizeof(to)) != 0) return fail_errno(errno, "connect a TCP socket");
  served_ = Descriptor(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
  if (served_.get() < 0) return fail_errno(errno, "accept");
  for (const Descriptor* end : {&client_, &served_})
    setsockopt(end->get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
  return {};
}

// One byte there and one back.
Result<void> SocketCalls::tcp_ping_pong() {
  char byte = 'x';
  for (const auto& [from, to] : {std::pair(client_.get(), served_.get()), std::pair(served_.get(), client_.get())}) {
    if (send(from, &byte, 1, 0) != 1) return fail_errno(errno, "send a byte");
    if (recv(to, &byte, 1, 0) != 1) return fail_errno(errno, "receive a byte");
  }
  return {};
}

Result<void> SocketCalls::udp_send(std::uint32_t i, const std::vector<Descriptor>& senders) {
  if (send(senders[i % senders.size()].get(), kPayload, sizeof(kPayload), 0) < 0)
    return fail_errno(errno, "send a datagram");
  return {};
}

Result<void> SocketCalls::udp_sendto(Destinations& destinations) {
  const sockaddr_in& to = destinations.next();
  if (sendto(unconnected_.get(), kPayload, sizeof(kPayload), 0, generic(to), sizeof(to)) < 0)
    return fail_errno(errno, "send a datagram to an address");
  return {};
}

Result<void> SocketCalls::drain() {
  for (;;) {
    const Descriptor served(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (served.get() < 0) {
      if (errno == EAGAIN) return {};
      return fail_errno(errno, "accept what is left");
    }
    reset_on_close(served.get());
  }
}

}  // namespace namewall::bench
