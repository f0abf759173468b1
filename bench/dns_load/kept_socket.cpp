#include "bench/dns_load/kept_socket.h"

#include <poll.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>

#include "bench/dns_load/server_address.h"
#include "bench/worker/dns_wire.h"
#include "bench/worker/placement.h"
#include "bench/worker/slice.h"

namespace namewall::bench {
namespace {

constexpr std::size_t kBatch = 32;
constexpr std::uint64_t kPatience = kSecond;  // for one answer
constexpr int kSocketBuffer = 4 << 20;

class KeptSocket {
 public:
  KeptSocket(Descriptor socket, const Pace& pace, Names& names, Tally& tally)
      : socket_(std::move(socket)), pace_(pace), names_(names), tally_(tally), sent_(65536, 0) {}

  std::uint64_t run() {
    pace_.start = read_clock(CLOCK_MONOTONIC);
    pace_.end += pace_.start;
    std::uint64_t now = pace_.start;
    std::uint64_t last_answer = now;
    while (!pace_.is_over(now, tally_.asked_count()) || in_flight_ > 0) {
      ask(pace_.allowed(now, tally_.asked_count(), in_flight_), now);
      if (receive()) {
        last_answer = now = read_clock(CLOCK_MONOTONIC);
      } else {
        wait(now);
        now = read_clock(CLOCK_MONOTONIC);
        give_up(now);
      }
    }
    return last_answer - pace_.start;
  }

 private:
  void ask(std::uint64_t count, std::uint64_t now) {
    count = std::min<std::uint64_t>(count, kBatch);
    std::array<std::vector<std::uint8_t>, kBatch> questions;
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> messages{};
    std::array<std::uint16_t, kBatch> ids{};
    for (std::size_t i = 0; i < count; ++i) {
      do ++id_;
      while (sent_[id_] != 0);
      ids[i] = id_;
      sent_[id_] = now;
      questions[i] = names_.next_question(id_);
      parts[i] = {questions[i].data(), questions[i].size()};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (std::size_t done = 0; done < count;) {
      const int sent = sendmmsg(socket_.get(), &messages[done], static_cast<unsigned>(count - done), 0);
      const int error = errno;
      for (int i = 0; i < sent; ++i, ++done) {
        tally_.asked();
        order_.push_back(ids[done]);
        ++in_flight_;
      }
      if (sent >= 0) continue;
      tally_.asked();
      tally_.failed(std::strerror(error));
      sent_[ids[done++]] = 0;
    }
  }

  // Whether anything came.
  bool receive() {
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> messages{};
    for (std::size_t i = 0; i < kBatch; ++i) {
      parts[i] = {buffers_[i].data(), buffers_[i].size()};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int count = recvmmsg(socket_.get(), messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    const std::uint64_t now = read_clock(CLOCK_MONOTONIC);
    for (int i = 0; i < count; ++i) {
      const auto& buffer = buffers_[static_cast<std::size_t>(i)];
      const auto id = static_cast<std::uint16_t>(buffer[0] << 8 | buffer[1]);
      if (messages[static_cast<std::size_t>(i)].msg_len < kShortest || sent_[id] == 0) {
        tally_.stray();
        continue;
      }
      tally_.answered({buffer.data(), messages[static_cast<std::size_t>(i)].msg_len}, now - sent_[id]);
      sent_[id] = 0;
      --in_flight_;
    }
    return count > 0;
  }

  void wait(std::uint64_t now) {
    const bool may_ask = in_flight_ < pace_.window && !pace_.is_over(now, tally_.asked_count());
    std::uint64_t until = now + kPatience / 10;
    if (may_ask) until = std::min(until, std::max(now, pace_.due(tally_.asked_count())));
    const std::uint64_t pause = until - now;
    const timespec limit{static_cast<time_t>(pause / kSecond), static_cast<long>(pause % kSecond)};
    pollfd readable{socket_.get(), POLLIN, 0};
    ppoll(&readable, 1, &limit, nullptr);
  }

  void give_up(std::uint64_t now) {
    for (; !order_.empty(); order_.pop_front()) {
      const std::uint16_t id = order_.front();
      if (sent_[id] == 0) continue;
      if (now - sent_[id] < kPatience) return;
      sent_[id] = 0;
      --in_flight_;
      tally_.failed("no answer in time");
    }
  }

  static constexpr std::size_t kShortest = 12;  // a header

  Descriptor socket_;
  Pace pace_;
  Names& names_;
  Tally& tally_;
  std::vector<std::uint64_t> sent_;  // by id: when, 0: not in flight
  std::deque<std::uint16_t> order_;  // ids as asked; some may have been answered
  std::uint64_t in_flight_ = 0;
  std::uint16_t id_ = 0;
  std::array<std::array<std::uint8_t, kLargestMessage>, kBatch> buffers_{};
};

}  // namespace

Result<std::uint64_t> ask_over_kept_socket(const sockaddr_storage& server, Pace pace, Names& names, Tally& tally) {
  Descriptor socket(::socket(server.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return fail_errno(errno, "make a DNS socket");
  for (const int buffer : {SO_RCVBUFFORCE, SO_SNDBUFFORCE})
    if (setsockopt(socket.get(), SOL_SOCKET, buffer, &kSocketBuffer, sizeof(kSocketBuffer)) != 0)
      return fail_errno(errno, "widen the buffers of the DNS socket");
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&server), length_of(server)) != 0)
    return fail_errno(errno, "connect to the DNS server");
  return KeptSocket(std::move(socket), pace, names, tally).run();
}

}  // namespace namewall::bench
