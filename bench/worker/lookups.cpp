#include "bench/worker/lookups.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>

namespace namewall::bench {
namespace {

constexpr time_t kServerTimeoutSeconds = 2;

Result<void> wait_at_most(int fd, time_t seconds) {
  const timeval limit{seconds, 0};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
    return fail_errno(errno, "limit the wait of a DNS socket");
  return {};
}

}  // namespace

Lookups::Lookups(const sockaddr_in& server, int responder, const sockaddr_in& crafted)
    : server_(server), crafted_(crafted), responder_(responder) {}

Result<void> Lookups::ask_server(const std::string& name) {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return fail_errno(errno, "make a DNS socket");
  if (Result<void> limited = wait_at_most(socket.get(), kServerTimeoutSeconds); !limited) return limited;
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&server_), sizeof(server_)) != 0)
    return fail_errno(errno, "connect to the DNS server");
  const auto question = build_question(++id_, name);
  if (send(socket.get(), question.data(), question.size(), 0) < 0) return fail_errno(errno, "ask the DNS server");
  std::array<std::uint8_t, kLargestMessage> answer;
  const ssize_t length = recv(socket.get(), answer.data(), answer.size(), 0);
  if (length < 0) return fail_errno(errno, "wait for the DNS server's answer to " + name);
  if (!is_answer({answer.data(), static_cast<std::size_t>(length)}, id_))
    return fail(ErrorKind::kInvalid, "the DNS server gave no address of " + name);
  return {};
}

Result<void> Lookups::connect_crafted() {
  kept_ = Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (kept_.get() < 0) return fail_errno(errno, "make a DNS socket");
  if (connect(kept_.get(), reinterpret_cast<const sockaddr*>(&crafted_), sizeof(crafted_)) != 0)
    return fail_errno(errno, "connect to the crafted DNS server");
  return {};
}

Result<void> Lookups::ask_crafted(const std::string& name, const AnswerShape& shape, std::uint32_t first_address) {
  if (kept_.get() < 0) {
    if (Result<void> connected = connect_crafted(); !connected) return connected;
  }
  const auto question = build_question(++id_, name);
  if (send(kept_.get(), question.data(), question.size(), 0) < 0) return fail_errno(errno, "ask about " + name);

  // The packet crosses the veth pair within the send: the question is here when it returns, and so is the answer below.
  std::array<std::uint8_t, kLargestMessage> bytes;
  sockaddr_in client{};
  socklen_t client_length = sizeof(client);
  const ssize_t asked = recvfrom(responder_, bytes.data(), bytes.size(), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&client), &client_length);
  if (asked < 0) return fail_errno(errno, "receive the question about " + name);
  const auto answer = build_answer({bytes.data(), static_cast<std::size_t>(asked)}, shape, first_address);
  if (sendto(responder_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&client), client_length) < 0)
    return fail_errno(errno, "answer the question about " + name);
  const ssize_t length = recv(kept_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (length < 0) return fail_errno(errno, "receive the answer about " + name);
  if (!is_answer({bytes.data(), static_cast<std::size_t>(length)}, id_))
    return fail(ErrorKind::kInvalid, "the answer about " + name + " has no address");
  return {};
}

Result<Descriptor> open_responder(const sockaddr_in& address) {
  Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return fail_errno(errno, "make the crafted DNS server");
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return fail_errno(errno, "bind the crafted DNS server");
  return socket;
}

}  // namespace namewall::bench
