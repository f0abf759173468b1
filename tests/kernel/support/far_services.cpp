#include "tests/kernel/support/far_services.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>

#include "tests/kernel/support/client.h"

namespace namewall::kernel_tests {
namespace {

OwnedFd bind_everywhere(int type, std::uint16_t port) {
  auto server = make_socket(AF_INET6, type | SOCK_NONBLOCK);
  const int no = 0, yes = 1;
  setsockopt(server.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  setsockopt(server.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (type == SOCK_DGRAM) {
    // An echo must leave from the address that was spoken to: that needs IPV6_PKTINFO.
    setsockopt(server.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes));
  }
  const SocketAddress any(Address(), port);
  if (bind(server.get(), any.get(), any.length) != 0 || (type == SOCK_STREAM && listen(server.get(), 4096) != 0)) {
    ADD_FAILURE() << "port " << port << ": " << std::strerror(errno);
  }
  return server;
}

void echo(int server) {
  char data[2048], control[256];
  SocketAddress peer;
  iovec part{data, sizeof(data)};
  msghdr message{};
  message.msg_name = &peer.storage;
  message.msg_namelen = sizeof(peer.storage);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t n = recvmsg(server, &message, MSG_DONTWAIT);
  if (n < 0) return;
  part.iov_len = static_cast<std::size_t>(n);
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_type == IPV6_PKTINFO) reinterpret_cast<in6_pktinfo*>(CMSG_DATA(c))->ipi6_ifindex = 0;
  }
  sendmsg(server, &message, MSG_DONTWAIT);
}

}  // namespace

FarServices::FarServices(const std::vector<std::uint16_t>& tcp_ports, const std::vector<std::uint16_t>& udp_ports)
    : stop_(eventfd(0, EFD_CLOEXEC)) {
  for (const auto port : tcp_ports) listeners_.push_back(bind_everywhere(SOCK_STREAM, port));
  for (const auto port : udp_ports) receivers_.push_back(bind_everywhere(SOCK_DGRAM, port));
  thread_ = std::thread([this] { serve(); });
}

FarServices::~FarServices() {
  const std::uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof(one)) == sizeof(one))
    thread_.join();
  else
    thread_.detach();
}

void FarServices::serve() {
  std::vector<pollfd> waiting;
  for (const auto& server : listeners_) waiting.push_back({server.get(), POLLIN, 0});
  for (const auto& server : receivers_) waiting.push_back({server.get(), POLLIN, 0});
  waiting.push_back({stop_.get(), POLLIN, 0});
  while (poll(waiting.data(), waiting.size(), -1) > 0 && waiting.back().revents == 0) {
    for (std::size_t i = 0; i + 1 < waiting.size(); ++i) {
      if ((waiting[i].revents & POLLIN) == 0) continue;
      if (i >= listeners_.size()) {
        ++datagrams_;
        echo(waiting[i].fd);
        continue;
      }
      const OwnedFd connection(accept4(waiting[i].fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (connection) ++connections_;
    }
  }
}

}  // namespace namewall::kernel_tests
