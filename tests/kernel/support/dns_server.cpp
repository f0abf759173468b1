#include "tests/kernel/support/dns_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>

namespace namewall::kernel_tests {

DnsServer::DnsServer(const std::vector<SocketAddress>& addresses, Answerer answerer)
    : stop_(eventfd(0, EFD_CLOEXEC)), answerer_(std::move(answerer)) {
  for (const auto& address : addresses) {
    OwnedFd server(socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int buffer = 4 << 20;
    setsockopt(server.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
    const int yes = 1;
    setsockopt(server.get(), IPPROTO_IP, IP_FREEBIND, &yes, sizeof(yes));
    if (bind(server.get(), address.get(), address.length) != 0) {
      ADD_FAILURE() << "DNS server on " << address.address().to_string() << ": " << std::strerror(errno);
    }
    sockets_.push_back(std::move(server));
  }
  thread_ = std::thread([this] { serve(); });
}

DnsServer::~DnsServer() {
  const std::uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof(one)) == sizeof(one))
    thread_.join();
  else
    thread_.detach();
}

void DnsServer::answer_with(Answerer answerer) {
  const std::lock_guard lock(mutex_);
  answerer_ = std::move(answerer);
}

std::vector<ReceivedQuestion> DnsServer::questions() const {
  const std::lock_guard lock(mutex_);
  return questions_;
}

std::size_t DnsServer::questions_for(const std::string& name) const {
  std::size_t count = 0;
  for (const auto& question : questions()) count += question.read.name == name ? 1 : 0;
  return count;
}

void DnsServer::send_unasked(const Bytes& bytes, const SocketAddress& to, std::size_t from) {
  sendto(sockets_[from].get(), bytes.data(), bytes.size(), 0, to.get(), to.length);
}

void DnsServer::serve() {
  std::vector<pollfd> waiting;
  for (const auto& server : sockets_) waiting.push_back({server.get(), POLLIN, 0});
  waiting.push_back({stop_.get(), POLLIN, 0});
  while (poll(waiting.data(), waiting.size(), -1) > 0 && waiting.back().revents == 0) {
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      if ((waiting[i].revents & POLLIN) == 0) continue;
      ReceivedQuestion question;
      question.bytes.resize(65536);
      question.peer.length = sizeof(question.peer.storage);
      const ssize_t n = recvfrom(sockets_[i].get(), question.bytes.data(), question.bytes.size(), MSG_DONTWAIT,
                                 question.peer.get(), &question.peer.length);
      if (n < 0) continue;
      question.bytes.resize(static_cast<std::size_t>(n));
      question.read = read_question(question.bytes);
      question.socket = i;
      Answerer answerer;
      {
        const std::lock_guard lock(mutex_);
        answerer = answerer_;
        questions_.push_back(question);
      }
      for (const auto& reply : answerer(question)) {
        const auto& from = sockets_[reply.from < 0 ? i : static_cast<std::size_t>(reply.from)];
        sendto(from.get(), reply.bytes.data(), reply.bytes.size(), 0, question.peer.get(), question.peer.length);
      }
    }
  }
}

void Zone::add(const std::string& name, const Address& address, std::uint32_t ttl) {
  records_.emplace(name, ZoneRecord{name, ttl, "", address});
}

void Zone::alias(const std::string& name, const std::string& target, std::uint32_t ttl) {
  records_.emplace(name, ZoneRecord{name, ttl, target, Address()});
}

Answerer Zone::answerer() const {
  return [records = records_](const ReceivedQuestion& question) -> std::vector<Reply> {
    std::vector<ZoneRecord> found;
    std::string name = question.read.name;
    const bool known = records.count(name) > 0;
    for (std::size_t hops = 0; hops < 20; ++hops) {
      std::string next;
      const auto [begin, end] = records.equal_range(name);
      for (auto it = begin; it != end; ++it) {
        if (!it->second.alias.empty())
          next = it->second.alias;
        else if (address_type(it->second.address) != question.read.type)
          continue;
        found.push_back(it->second);
      }
      if (next.empty()) break;
      name = next;
    }
    const auto flags = static_cast<std::uint16_t>(kFlagsAnswer | (known ? 0 : kRcodeNxdomain));
    return {{make_answer(question.bytes, found, flags)}};
  };
}

}  // namespace namewall::kernel_tests
