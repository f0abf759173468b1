#include "agent/proxy/stream_place.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "agent/proxy/socket_endpoint.h"

namespace namewall::agent {
namespace {

constexpr int kAcceptsPerTurn = 16;
constexpr int kSendBuffer = 128 << 10;  // what the kernel holds of a client that does not read

}  // namespace

struct StreamPlace::Connection {
  FileDescriptor fd;
  std::uint64_t cgroup_id = 0;
  Asker admitted;  // whose count it is in
  FrameReader in;
  FrameWriter out;
  std::uint32_t waiting = 0;  // questions without an answer
  std::uint64_t next_token = 1;
  BootTime active;  // when a question or a part of an answer went last
  std::uint32_t interest = EPOLLIN;
  bool has_ended = false;   // the client sends no more
  bool is_broken = false;   // to be closed
  bool is_replied = false;  // listed in replied_

  bool may_take() const { return waiting < kMaxWaiting && out.unsent().size() < kMaxUnsent; }
};

StreamPlace::StreamPlace(FileDescriptor listening, std::uint64_t number, const ResolverAddress& own, Poller& poller,
                         StreamHost& host)
    : listening_(std::move(listening)), number_(number), own_(own), poller_(poller), host_(host) {
  is_listening_ = poller_.add(listening_.get(), number_, EPOLLIN);
}

StreamPlace::~StreamPlace() {
  while (!connections_.empty()) close(connections_.begin()->first);
  if (is_listening_) poller_.remove(listening_.get());
}

void StreamPlace::on_listening_ready(BootTime now) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    SocketEndpoint peer;
    socklen_t length = sizeof peer;
    FileDescriptor fd(::accept4(listening_.get(), &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN) {  // no descriptors, no memory: the next tick() tries again
        poller_.remove(listening_.get());
        is_listening_ = false;
      }
      return;
    }
    const std::uint64_t cgroup_id = host_.find_cgroup(peer.where(), own_);
    if (cgroup_id == 0) continue;
    const Asker asker = host_.find_asker(cgroup_id);
    if (!asker || !host_.admit(asker)) continue;
    const int one = 1;
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
    const std::uint64_t number = host_.next_place_number();
    auto connection = std::make_unique<Connection>();
    connection->fd = std::move(fd);
    connection->cgroup_id = cgroup_id;
    connection->admitted = asker;
    connection->active = now;
    Connection& added = *connections_.emplace(number, std::move(connection)).first->second;
    if (!poller_.add(added.fd.get(), number, EPOLLIN)) close(number);
  }
}

void StreamPlace::on_connection_ready(std::uint64_t number, std::uint32_t events, BootTime now) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  // Nothing is taken of a connection that was reset: the peer that was looked up for it may be another socket, which
  // took its ends since.
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) connection.is_broken = true;
  if ((events & EPOLLOUT) != 0) connection.is_broken |= !send_answers(connection, now);
  if ((events & EPOLLIN) != 0 && !connection.is_broken && !connection.has_ended && connection.may_take()) {
    const auto room = connection.in.room();
    const ssize_t count = ::recv(connection.fd.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (count > 0) {
      connection.in.added(static_cast<std::size_t>(count));
    } else if (count == 0) {
      connection.has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
      connection.is_broken = true;
    }
  }
  take_questions(number, connection, now);
  settle(number, connection);
}

void StreamPlace::take_questions(std::uint64_t number, Connection& connection, BootTime now) {
  while (!connection.is_broken && connection.may_take()) {
    const auto message = connection.in.next();
    if (!message) break;
    const Asker asker = host_.find_asker(connection.cgroup_id);
    if (!asker) {  // the workload is gone
      connection.is_broken = true;
      return;
    }
    connection.active = now;
    ++connection.waiting;
    host_.on_question({number, connection.next_token++}, asker, *message);
  }
  connection.is_broken |= connection.in.is_broken();
}

void StreamPlace::reply(const ClientHandle& client, std::span<const std::uint8_t> message, BootTime now) {
  const auto found = connections_.find(client.place);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  if (connection.waiting > 0) --connection.waiting;
  connection.out.add(message);
  connection.active = now;
  if (!std::exchange(connection.is_replied, true)) replied_.push_back(client.place);
}

bool StreamPlace::send_answers(Connection& connection, BootTime now) {
  for (;;) {
    const auto bytes = connection.out.unsent();
    if (bytes.empty()) return true;
    const ssize_t count = ::send(connection.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN;
    connection.out.sent(static_cast<std::size_t>(count));
    connection.active = now;
  }
}

void StreamPlace::flush(BootTime now) {
  // What is taken below may be replied to at once, and then waits for the next flush.
  for (const std::uint64_t number : std::exchange(replied_, {})) {
    const auto found = connections_.find(number);
    if (found == connections_.end()) continue;
    Connection& connection = *found->second;
    connection.is_replied = false;
    connection.is_broken |= !send_answers(connection, now);
    take_questions(number, connection, now);
    settle(number, connection);
  }
}

void StreamPlace::settle(std::uint64_t number, Connection& connection) {
  const bool has_unsent = !connection.out.unsent().empty();
  if (connection.is_broken || (connection.has_ended && connection.waiting == 0 && !has_unsent)) return close(number);
  const std::uint32_t wanted = (!connection.has_ended && connection.may_take() ? EPOLLIN : 0u) |
                               (has_unsent && !connection.is_replied ? EPOLLOUT : 0u);
  if (wanted == connection.interest) return;
  connection.interest = wanted;
  if (!poller_.change(connection.fd.get(), number, wanted)) close(number);
}

void StreamPlace::tick(BootTime now) {
  if (!is_listening_) is_listening_ = poller_.add(listening_.get(), number_, EPOLLIN);
  std::vector<std::uint64_t> over;
  for (const auto& [number, connection] : connections_) {
    const Asker asker = host_.find_asker(connection->cgroup_id);
    const Nanoseconds idle = asker ? asker->front().image->bounds.idle : Nanoseconds{0};
    // Unanswered questions: the resolver may take its time. Unsent answers: the client has it.
    const Nanoseconds patience = connection->waiting > 0 ? idle + kAnswerTime : idle;
    if (now - connection->active > patience) over.push_back(number);
  }
  for (const std::uint64_t number : over) close(number);
}

void StreamPlace::close(std::uint64_t number) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  const std::unique_ptr<Connection> connection = std::move(found->second);
  connections_.erase(found);
  poller_.remove(connection->fd.get());
  host_.leave(connection->admitted);
  host_.on_closed(number);
}

}  // namespace namewall::agent
