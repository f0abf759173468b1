#include "agent/proxy/ares_channel.h"

#include <ares.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace namewall::agent {
namespace {

constexpr int kEdnsSize = 1232;  // DNS flag day 2020: no fragments
constexpr int kReceiveBuffer = 1 << 20;
constexpr std::size_t kHeader = 12;
constexpr std::uint8_t kRcodeMask = 0xf, kServfail = 2;

std::uint16_t id_of(std::span<const std::uint8_t> message) {
  return static_cast<std::uint16_t>(message[0] << 8 | message[1]);
}
void set_id(std::span<std::uint8_t> message, std::uint16_t id) {
  message[0] = static_cast<std::uint8_t>(id >> 8);
  message[1] = static_cast<std::uint8_t>(id);
}

Result<void> set_servers(ares_channel channel, const UpstreamTarget& target) {
  std::vector<ares_addr_port_node> nodes;
  std::vector<ResolverAddress> servers{target.resolver};
  servers.insert(servers.end(), target.stand_ins.begin(), target.stand_ins.end());
  for (const ResolverAddress& server : servers) {
    ares_addr_port_node& node = nodes.emplace_back();
    const SocketEndpoint endpoint(server);
    node.family = endpoint.any.sa_family;
    node.udp_port = node.tcp_port = server.port.number;
    if (node.family == AF_INET) {
      node.addr.addr4 = endpoint.v4.sin_addr;
    } else {
      std::memcpy(&node.addr.addr6, &endpoint.v6.sin6_addr, sizeof node.addr.addr6);
    }
  }
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) nodes[i].next = &nodes[i + 1];
  const int status = ::ares_set_servers_ports(channel, nodes.data());
  if (status != ARES_SUCCESS) {
    return fail(ErrorKind::kSystem, std::string("c-ares does not take the resolvers: ") + ::ares_strerror(status));
  }
  return {};
}

}  // namespace

struct AresChannel::Flight {
  AresChannel* channel = nullptr;
  std::uint16_t wire_id = 0, id = 0;
  Upstream::Done done;
};

struct AresChannel::Calls {
  static ares_socket_t open(int family, int type, int, void* self) {
    return static_cast<AresChannel*>(self)->open_socket(family, type);
  }
  static int close(ares_socket_t fd, void* self) {
    static_cast<AresChannel*>(self)->forget_socket(fd);
    return 0;
  }
  static int connect(ares_socket_t fd, const sockaddr* to, ares_socklen_t length, void* self) {
    Socket& socket = static_cast<AresChannel*>(self)->sockets_.at(fd);
    std::memcpy(static_cast<void*>(&socket.peer), to, std::min<std::size_t>(length, sizeof socket.peer));
    return ::connect(fd, to, length);
  }
  static ares_ssize_t receive(ares_socket_t fd, void* room, std::size_t size, int, sockaddr* from,
                              ares_socklen_t* from_length, void* self) {
    auto& channel = *static_cast<AresChannel*>(self);
    Socket& socket = channel.sockets_.at(fd);
    if (!socket.is_udp) {
      channel.hides_servfail_ = false;
      return ::recv(fd, room, size, MSG_DONTWAIT);
    }
    SocketEndpoint peer;
    const long length = channel.take_datagram(socket, {static_cast<std::uint8_t*>(room), size}, peer);
    if (length >= 0 && from != nullptr) {
      *from_length = std::min<ares_socklen_t>(*from_length, peer.length());
      std::memcpy(from, &peer, *from_length);
    }
    return length;
  }
  static ares_ssize_t send(ares_socket_t fd, const iovec* parts, int count, void* self) {
    auto& channel = *static_cast<AresChannel*>(self);
    Socket& socket = channel.sockets_.at(fd);
    if (!socket.is_udp) {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(parts);  // the kernel only reads it
      message.msg_iovlen = static_cast<std::size_t>(count);
      return ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (socket.lengths.empty()) channel.around_.unsent.push_back(fd);
    std::size_t length = 0;
    for (const iovec& part : std::span(parts, static_cast<std::size_t>(count))) {
      const auto* bytes = static_cast<const std::uint8_t*>(part.iov_base);
      socket.queued.insert(socket.queued.end(), bytes, bytes + part.iov_len);
      length += part.iov_len;
    }
    socket.lengths.push_back(length);
    return static_cast<ares_ssize_t>(length);
  }
  static void watch(void* self, ares_socket_t fd, int readable, int writable) {
    auto& channel = *static_cast<AresChannel*>(self);
    Poller& poller = channel.around_.poller;
    const std::uint64_t number = AresUpstream::kNumberBit | static_cast<std::uint64_t>(fd);
    const std::uint32_t events = (readable != 0 ? EPOLLIN : 0u) | (writable != 0 ? EPOLLOUT : 0u);
    if (events == 0) {
      poller.remove(fd);
    } else if (!poller.change(fd, number, events)) {
      (void)poller.add(fd, number, events);  // failing: its questions time out
    }
  }
  static void answer(void* argument, int status, int, unsigned char* bytes, int length) {
    const std::unique_ptr<Flight> flight(static_cast<Flight*>(argument));
    std::span<std::uint8_t> answer;
    if (bytes != nullptr && length >= static_cast<int>(kHeader)) answer = {bytes, static_cast<std::size_t>(length)};
    flight->channel->finish(*flight, answer, status);
  }
};

Result<std::unique_ptr<AresChannel>> AresChannel::open(AresSurroundings& around, const UpstreamTarget& target,
                                                       bool with_edns) {
  static const ares_socket_functions functions{&Calls::open, &Calls::close, &Calls::connect, &Calls::receive,
                                               &Calls::send};
  std::unique_ptr<AresChannel> made(new AresChannel(around, target.netns_cookie));
  made->with_edns_ = with_edns;
  ares_options options{};
  // Every option that c-ares would else read from resolv.conf(5) or the environment.
  options.flags = ARES_FLAG_STAYOPEN | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP;
  if (with_edns) options.flags |= ARES_FLAG_EDNS;
  options.ednspsz = kEdnsSize;
  options.timeout = around.options.timeout_ms;
  options.tries = around.options.tries;
  options.ndots = 1;
  in_addr placeholder{};  // set_servers() replaces it
  placeholder.s_addr = htonl(INADDR_LOOPBACK);
  options.servers = &placeholder;
  options.nservers = 1;
  char lookups[] = "b";
  options.lookups = lookups;
  options.sock_state_cb = &Calls::watch;
  options.sock_state_cb_data = made.get();
  const int status = ::ares_init_options(&made->channel_, &options,
                                         ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                             ARES_OPT_NDOTS | ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST |
                                             ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE);
  if (status != ARES_SUCCESS) {
    return fail(ErrorKind::kSystem, std::string("cannot make a c-ares channel: ") + ::ares_strerror(status));
  }
  ::ares_set_socket_functions(made->channel_, &functions, made.get());
  if (auto set = set_servers(made->channel_, target); !set) return tl::unexpected(set.error());
  ++around.figures.channels_opened;
  return made;
}

AresChannel::~AresChannel() {
  is_closing_ = true;
  if (channel_ != nullptr) ::ares_destroy(channel_);
  while (!sockets_.empty()) forget_socket(sockets_.begin()->first);
}

int AresChannel::open_socket(int family, int type) {
  const bool is_udp = type == SOCK_DGRAM;
  auto made = around_.options.make_socket(netns_cookie_, family, type);
  if (!made) {
    errno = made.error().error_number != 0 ? made.error().error_number : ENOTCONN;
    return ARES_SOCKET_BAD;
  }
  const int fd = made->get();
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return ARES_SOCKET_BAD;
  if (is_udp) {
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0) {
      (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
    }
  } else {
    const int one = 1;
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  Socket& socket = sockets_[fd];
  socket.fd = std::move(*made);
  socket.is_udp = is_udp;
  around_.owner_of[fd] = this;
  return fd;
}

void AresChannel::forget_socket(int fd) {
  if (arriving_fd_ == fd) arriving_fd_ = -1;
  around_.poller.remove(fd);
  around_.owner_of.erase(fd);
  std::erase(around_.unsent, fd);
  sockets_.erase(fd);
}

void AresChannel::ask(std::vector<std::uint8_t> query, Upstream::Done done) {
  auto flight = std::make_unique<Flight>();
  do {
    flight->wire_id = around_.ids.next();
  } while (used_ids_.test(flight->wire_id));
  used_ids_.set(flight->wire_id);
  flight->channel = this;
  flight->id = id_of(query);
  flight->done = std::move(done);
  set_id(query, flight->wire_id);
  ++in_flight_;
  ++questions_;
  const bool deferred = std::exchange(around_.defers, true);
  // Calls back for every question, also when the channel is destroyed: the flight is its until then.
  ::ares_send(channel_, query.data(), static_cast<int>(query.size()), &Calls::answer, flight.release());
  around_.defers = deferred;
}

void AresChannel::finish(const Flight& flight, std::span<std::uint8_t> answer, int status) {
  used_ids_.reset(flight.wire_id);
  --in_flight_;
  if (is_closing_) return;
  if (answer.empty()) {
    ++around_.figures.failures;
    Error error{ErrorKind::kSystem, 0, std::string("the resolver gave no answer: ") + ::ares_strerror(status)};
    if (around_.defers) {
      around_.failed.push_back({flight.done, std::move(error)});
    } else {
      flight.done(tl::unexpected(std::move(error)));
    }
    return;
  }
  ++around_.figures.answers;
  set_id(answer, flight.id);
  if (std::exchange(hides_servfail_, false)) {
    answer[3] = static_cast<std::uint8_t>((answer[3] & ~kRcodeMask) | kServfail);
  }
  flight.done(std::span<const std::uint8_t>(answer));
}

void AresChannel::on_ready(int fd, std::uint32_t events) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end()) return;
  if (found->second.is_udp) return receive_datagrams(fd);
  const bool readable = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
  ::ares_process_fd(channel_, readable ? fd : ARES_SOCKET_BAD, (events & EPOLLOUT) != 0 ? fd : ARES_SOCKET_BAD);
}

void AresChannel::receive_datagrams(int fd) {
  auto& headers = around_.receiving;
  const int count = ::recvmmsg(fd, headers.data(), static_cast<unsigned>(headers.size()), MSG_DONTWAIT, nullptr);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    sockets_.at(fd).error = errno;
  }
  arriving_ = 0;
  arrived_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  for (std::size_t i = 0; i < arrived_; ++i) arrived_lengths_[i] = static_cast<std::uint16_t>(headers[i].msg_len);
  arriving_fd_ = fd;
  // c-ares reads one datagram in a call or all there are, and may close the socket upon any of them.
  while (arriving_fd_ == fd && (arriving_ < arrived_ || sockets_.at(fd).error != 0)) {
    ::ares_process_fd(channel_, fd, ARES_SOCKET_BAD);
  }
  arriving_fd_ = -1;
  hides_servfail_ = false;
}

// c-ares 1.18 takes SERVFAIL for "does not know EDNS", and asks again without: so it is not shown to it.
long AresChannel::take_datagram(Socket& socket, std::span<std::uint8_t> room, SocketEndpoint& from) {
  hides_servfail_ = false;
  if (socket.error != 0) {
    errno = std::exchange(socket.error, 0);
    return -1;
  }
  while (arriving_fd_ == socket.fd.get() && arriving_ < arrived_) {
    const std::size_t at = arriving_++;
    const auto message = std::span(around_.received[at]).first(arrived_lengths_[at]);
    if (message.size() < kHeader || (message[2] & 0x80) == 0 || !used_ids_.test(id_of(message))) {
      ++around_.figures.stray;
      continue;
    }
    if (with_edns_ && (message[3] & kRcodeMask) == kServfail) {
      hides_servfail_ = true;
      message[3] = static_cast<std::uint8_t>(message[3] & ~kRcodeMask);
    }
    from = socket.peer;  // the socket is connected
    const std::size_t length = std::min(room.size(), message.size());
    std::memcpy(room.data(), message.data(), length);
    return static_cast<long>(length);
  }
  errno = EAGAIN;
  return -1;
}

void AresChannel::send_queued(int fd) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end()) return;
  Socket& socket = found->second;
  constexpr std::size_t kMaxParts = 64;
  std::array<mmsghdr, kMaxParts> headers;
  std::array<iovec, kMaxParts> parts;
  // What fails here may have c-ares send again: that is queued anew.
  const std::vector<std::uint8_t> bytes = std::exchange(socket.queued, {});
  const std::vector<std::size_t> lengths = std::exchange(socket.lengths, {});
  std::size_t offset = 0;
  for (std::size_t first = 0; first < lengths.size() && socket.error == 0; first += kMaxParts) {
    const std::size_t count = std::min(kMaxParts, lengths.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      parts[i] = {const_cast<std::uint8_t*>(bytes.data()) + offset, lengths[first + i]};  // only read
      offset += lengths[first + i];
      headers[i] = {};
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    for (std::size_t sent = 0; sent < count;) {
      const int now =
          ::sendmmsg(fd, headers.data() + sent, static_cast<unsigned>(count - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (now > 0) {
        sent += static_cast<std::size_t>(now);
      } else if (errno == EAGAIN || errno == ENOBUFS) {
        ++sent;  // lost like any datagram: it is asked again after its time
      } else if (errno != EINTR) {
        socket.error = errno;  // nobody listens there, or no way there: the next server's turn
        break;
      }
    }
  }
  if (socket.error != 0) ::ares_process_fd(channel_, fd, ARES_SOCKET_BAD);
}

void AresChannel::check_timeouts() { ::ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

void AresChannel::fail_all() {
  const bool deferred = std::exchange(around_.defers, true);
  ::ares_cancel(channel_);
  around_.defers = deferred;
}

bool AresChannel::has_lost_edns() {
  if (!with_edns_) return false;
  ares_options options{};
  int mask = 0;
  if (::ares_save_options(channel_, &options, &mask) != ARES_SUCCESS) return false;
  const bool has_lost = (options.flags & ARES_FLAG_EDNS) == 0;
  ::ares_destroy_options(&options);
  return has_lost;
}

}  // namespace namewall::agent
