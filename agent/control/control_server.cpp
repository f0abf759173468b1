#include "agent/control/control_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <utility>

#include "agent/control/connection_room.h"
#include "agent/control/control_client.h"
#include "agent/control/control_socket.h"
#include "agent/control/endpoints.h"
#include "agent/control/http_daemon.h"

namespace namewall::agent {
namespace {

using Clock = ControlClient::Clock;

constexpr int kMaxEvents = 64;
constexpr int kAcceptedAtOnce = 16;  // the others wait for the next serve()

FileDescriptor open_spare() { return FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

unsigned connections_of(const ControlLimits& limits) {
  return static_cast<unsigned>(limits.unprivileged_connections + limits.privileged_connections);
}

}  // namespace

struct ControlServer::Loop {
  Loop(HttpDaemon http_daemon, Host& the_host, const Options& options)
      : host(the_host),
        access(options.access),
        limits(options.limits),
        endpoints(the_host, options.access, options.limits.waiting_events),
        room(options.limits),
        peers(options.peers),
        http(std::move(http_daemon)) {}

  Result<void> watch(int fd, std::uint32_t events) const;
  void note(const epoll_event& event);
  void end_overdue();
  void bring_events();
  void let_go_of_closed();
  void accept_some();
  void take(FileDescriptor connection);

  Host& host;
  AccessRules access;
  ControlLimits limits;
  Endpoints endpoints;
  ConnectionRoom room;
  std::optional<KernelPeerSource> kernel_peers;
  const PeerSource* peers;
  FileDescriptor epoll;
  FileDescriptor listening;
  FileDescriptor spare = open_spare();  // spent where a connection would find no descriptor left
  bool accept_is_due = false;
  bool events_are_due = false;
  std::map<int, std::unique_ptr<ControlClient>> clients;  // by descriptor
  HttpDaemon http;                                        // the last: its end closes the clients
};

Result<void> ControlServer::Loop::watch(int fd, std::uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return fail_errno(errno, "cannot wait for the control socket's descriptors");
}

void ControlServer::Loop::note(const epoll_event& event) {
  if (event.data.fd == listening.get()) accept_is_due = true;
  if (event.data.fd == host.event_signal_fd()) events_are_due = true;
  const auto found = clients.find(event.data.fd);
  if (found == clients.end()) return;
  ControlClient& client = *found->second;
  if ((event.events & EPOLLIN) != 0) client.bytes_arrived();
  if ((event.events & (EPOLLHUP | EPOLLERR)) != 0 && client.peer_left()) http.wake(client);
}

void ControlServer::Loop::end_overdue() {
  const Clock::time_point now = Clock::now();
  for (const auto& [fd, client] : clients) {
    if (client->deadline().value_or(Clock::time_point::max()) <= now) client->end_overdue();
  }
}

void ControlServer::Loop::bring_events() {
  if (!std::exchange(events_are_due, false)) return;
  for (const auto& [fd, client] : clients) {
    if (client->take_new()) http.wake(*client);
  }
}

void ControlServer::Loop::let_go_of_closed() {
  std::erase_if(clients, [this](const auto& entry) {
    if (!entry.second->is_closed()) return false;
    room.leave(entry.second->holder());
    return true;
  });
}

void ControlServer::Loop::accept_some() {
  if (!std::exchange(accept_is_due, false)) return;
  for (int i = 0; i < kAcceptedAtOnce; ++i) {
    FileDescriptor connection(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection && (errno == EMFILE || errno == ENFILE)) {
      spare.reset();
      FileDescriptor(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      spare = open_spare();
      return;
    }
    if (!connection) return;
    take(std::move(connection));
  }
}

void ControlServer::Loop::take(FileDescriptor connection) {
  const int fd = connection.get();
  Result<std::unique_ptr<PeerIdentity>> identity = peers->identify(fd);
  if (!identity) return;
  std::string holder = find_holder(**identity, access, host);
  if (!room.enter(holder)) {
    const std::string response =
        closing_response(kTooManyConnections,
                         holder.empty() ? "too many connections are open" : holder + " has too many connections open");
    [[maybe_unused]] const ssize_t sent = ::send(fd, response.data(), response.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &limits.send_buffer_bytes, sizeof limits.send_buffer_bytes);
  auto client = std::make_unique<ControlClient>(fd, *std::move(identity), std::move(holder), endpoints, limits);
  if (!watch(fd, EPOLLIN | EPOLLET) || !http.add(std::move(connection), *client)) {
    room.leave(client->holder());
    return;
  }
  clients[fd] = std::move(client);
}

Result<ControlServer> ControlServer::open(const Options& options, Host& host) {
  Result<HttpDaemon> http = HttpDaemon::start({.connections = connections_of(options.limits),
                                               .header_bytes = options.limits.header_bytes,
                                               .idle_time = options.limits.idle_time});
  if (!http) return tl::unexpected(http.error());
  auto loop = std::make_unique<Loop>(*std::move(http), host, options);
  if (loop->peers == nullptr) {
    Result<KernelPeerSource> peers = KernelPeerSource::open();
    if (!peers) return tl::unexpected(peers.error());
    loop->peers = &loop->kernel_peers.emplace(*std::move(peers));
  }
  loop->epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll) return fail_errno(errno, "cannot make an epoll descriptor for the control socket");
  Result<FileDescriptor> listening =
      options.listening_fd ? adopt_control_socket(*options.listening_fd) : open_control_socket(options.path);
  if (!listening) return tl::unexpected(listening.error());
  loop->listening = *std::move(listening);
  // Nobody has to read the host's signal: each of its rises is one edge here.
  const std::array<std::pair<int, std::uint32_t>, 3> watched = {
      {{loop->listening.get(), EPOLLIN}, {loop->http.fd(), EPOLLIN}, {host.event_signal_fd(), EPOLLIN | EPOLLET}}};
  for (const auto& [fd, events] : watched) {
    if (const Result<void> added = loop->watch(fd, events); !added) return tl::unexpected(added.error());
  }
  return ControlServer(std::move(loop));
}

ControlServer::ControlServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
ControlServer::ControlServer(ControlServer&&) noexcept = default;
ControlServer& ControlServer::operator=(ControlServer&&) noexcept = default;
ControlServer::~ControlServer() = default;

int ControlServer::fd() const { return loop_->epoll.get(); }
int ControlServer::listening_fd() const { return loop_->listening.get(); }

int ControlServer::timeout_ms() const {
  std::chrono::milliseconds left = loop_->http.timeout().value_or(std::chrono::milliseconds::max());
  const Clock::time_point now = Clock::now();
  for (const auto& [fd, client] : loop_->clients) {
    if (const auto deadline = client->deadline()) {
      left = std::min(left, std::chrono::ceil<std::chrono::milliseconds>(*deadline - now));
    }
  }
  if (left == std::chrono::milliseconds::max()) return -1;
  return static_cast<int>(std::max(left, std::chrono::milliseconds(0)).count());
}

void ControlServer::serve() {
  std::array<epoll_event, kMaxEvents> events{};
  const int count = ::epoll_wait(loop_->epoll.get(), events.data(), kMaxEvents, 0);
  for (int i = 0; i < count; ++i) loop_->note(events[static_cast<std::size_t>(i)]);
  loop_->end_overdue();
  loop_->bring_events();
  loop_->http.run();
  loop_->let_go_of_closed();
  // Last: the first bytes of a new connection are noted before they are read, by the next serve().
  loop_->accept_some();
}

}  // namespace namewall::agent
