#include "tests/kernel/support/test_proxy.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "bpf/enforcer.h"

#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif

namespace namewall::kernel_tests {
namespace {

bool read_all(int socket, std::uint8_t* to, std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = recv(socket, to + done, size - done, 0);
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

TestProxy::TestProxy(const SocketAddress& resolver, Answerer answerer)
    : resolver_(resolver), stop_(eventfd(0, EFD_CLOEXEC)), answerer_(std::move(answerer)) {
  const Address loopback = ip(resolver.family() == AF_INET ? "127.0.0.1" : "::1");
  const int yes = 1;
  for (int tries = 0; tries < 50; ++tries) {
    udp_ = OwnedFd(socket(resolver.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    tcp_ = OwnedFd(socket(resolver.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    setsockopt(udp_.get(), SOL_SOCKET, SO_RCVMARK, &yes, sizeof(yes));
    SocketAddress wanted(loopback, 0);
    if (bind(udp_.get(), wanted.get(), wanted.length) != 0) continue;
    at_.length = sizeof(at_.storage);
    getsockname(udp_.get(), at_.get(), &at_.length);
    if (bind(tcp_.get(), at_.get(), at_.length) == 0 && listen(tcp_.get(), 16) == 0) break;
  }
  if (at_.port() == 0) ADD_FAILURE() << "no port for the test proxy: " << std::strerror(errno);
  thread_ = std::thread([this] { serve(); });
}

TestProxy::~TestProxy() {
  const std::uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof(one)) == sizeof(one))
    thread_.join();
  else
    thread_.detach();
}

ProxyPlace TestProxy::place(Protocol protocol) const {
  return {.netns_cookie = bpf::netns_cookie().value_or(0),
          .resolver = {resolver_.address(), Port{resolver_.port()}},
          .protocol = protocol,
          .port = Port{at_.port()}};
}

std::vector<ProxiedQuestion> TestProxy::questions() const {
  const std::lock_guard lock(mutex_);
  return questions_;
}

std::vector<ProxiedQuestion> TestProxy::await(std::size_t count) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  while (questions().size() < count && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return questions();
}

void TestProxy::send(const Bytes& bytes, const SocketAddress& to) const {
  sendto(udp_.get(), bytes.data(), bytes.size(), 0, to.get(), to.length);
}

void TestProxy::stop_answering() {
  const std::lock_guard lock(mutex_);
  answers_ = false;
}

void TestProxy::serve() {
  pollfd waiting[] = {{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  while (poll(waiting, 3, -1) > 0 && waiting[2].revents == 0) {
    if (waiting[0].revents != 0) serve_datagram();
    if (waiting[1].revents != 0) serve_connection();
  }
}

void TestProxy::serve_datagram() {
  ProxiedQuestion question;
  question.bytes.resize(65536);
  question.peer.length = sizeof(question.peer.storage);
  iovec data{question.bytes.data(), question.bytes.size()};
  alignas(cmsghdr) char control[256];
  msghdr message{};
  message.msg_name = question.peer.get();
  message.msg_namelen = question.peer.length;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t n = recvmsg(udp_.get(), &message, MSG_DONTWAIT);
  if (n < 0) return;
  question.peer.length = message.msg_namelen;
  question.bytes.resize(static_cast<std::size_t>(n));
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
    if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SO_MARK)
      std::memcpy(&question.mark, CMSG_DATA(at), sizeof(question.mark));
  }
  const std::lock_guard lock(mutex_);
  questions_.push_back(question);
  if (!answers_ || question.bytes.size() < kDnsHeader) return;
  for (const Reply& reply : answerer_({question.bytes, read_question(question.bytes), question.peer, 0}))
    send(reply.bytes, question.peer);
}

void TestProxy::serve_connection() {
  ProxiedQuestion question;
  question.over_tcp = true;
  question.peer.length = sizeof(question.peer.storage);
  const OwnedFd client(accept4(tcp_.get(), question.peer.get(), &question.peer.length, SOCK_CLOEXEC));
  if (!client) return;
  const timeval patience{1, 0};
  setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  std::uint8_t length[2];
  if (!read_all(client.get(), length, 2)) return;
  question.bytes.resize(static_cast<std::size_t>(length[0] << 8 | length[1]));
  if (!read_all(client.get(), question.bytes.data(), question.bytes.size())) return;
  const std::lock_guard lock(mutex_);
  questions_.push_back(question);
  for (const Reply& reply : answerer_({question.bytes, read_question(question.bytes), question.peer, 0})) {
    Bytes framed{static_cast<std::uint8_t>(reply.bytes.size() >> 8), static_cast<std::uint8_t>(reply.bytes.size())};
    framed.insert(framed.end(), reply.bytes.begin(), reply.bytes.end());
    ::send(client.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
  }
}

}  // namespace namewall::kernel_tests
