#include "bench/dns_load/fresh_sockets.h"

#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "bench/dns_load/server_address.h"
#include "bench/worker/dns_wire.h"
#include "bench/worker/placement.h"
#include "bench/worker/slice.h"

namespace namewall::bench {
namespace {

constexpr std::uint64_t kPatience = 5 * kSecond;  // for one answer
constexpr std::size_t kEvents = 64;
constexpr std::size_t kLengthPrefix = 2;  // RFC 1035 section 4.2.2

struct Flight {
  Descriptor socket;
  std::uint64_t begun = 0;
  std::uint16_t id = 0;
  std::vector<std::uint8_t> unsent;    // TCP: until the connection is there
  std::vector<std::uint8_t> received;  // TCP: what came so far
};

class FreshSockets {
 public:
  FreshSockets(const sockaddr_storage& server, int type, Descriptor events, const Pace& pace, Names& names,
               Tally& tally)
      : server_(server), type_(type), events_(std::move(events)), pace_(pace), names_(names), tally_(tally) {
    flights_.resize(pace.window);
    for (std::uint32_t slot = pace.window; slot > 0; --slot) free_.push_back(slot - 1);
  }

  std::uint64_t run() {
    pace_.start = read_clock(CLOCK_MONOTONIC);
    pace_.end += pace_.start;
    std::uint64_t now = pace_.start;
    std::uint64_t looked = now;
    last_ = now;
    while (!pace_.is_over(now, tally_.asked_count()) || in_flight() > 0) {
      for (std::uint64_t left = pace_.allowed(now, tally_.asked_count(), in_flight()); left > 0; --left) begin();
      take(now);
      now = read_clock(CLOCK_MONOTONIC);
      if (now - looked > kPatience / 10) give_up(looked = now);
    }
    return last_ - pace_.start;
  }

 private:
  std::uint64_t in_flight() const { return flights_.size() - free_.size(); }

  void begin() {
    const std::uint32_t slot = free_.back();
    Flight& flight = flights_[slot];
    flight.begun = read_clock(CLOCK_MONOTONIC);
    flight.id = ++id_;
    flight.received.clear();
    flight.socket = Descriptor(socket(server_.ss_family, type_ | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    tally_.asked();
    const bool is_stream = type_ == SOCK_STREAM;
    epoll_event wanted{is_stream ? EPOLLOUT : EPOLLIN, {.u32 = slot}};
    const std::vector<std::uint8_t>& question = names_.next_question(flight.id);
    const int connected = connect(flight.socket.get(), reinterpret_cast<const sockaddr*>(&server_), length_of(server_));
    bool is_begun = connected == 0 || (is_stream && errno == EINPROGRESS);
    if (is_begun && is_stream) {
      flight.unsent = {static_cast<std::uint8_t>(question.size() >> 8), static_cast<std::uint8_t>(question.size())};
      flight.unsent.insert(flight.unsent.end(), question.begin(), question.end());
    } else if (is_begun) {
      is_begun = send(flight.socket.get(), question.data(), question.size(), 0) >= 0;
    }
    if (is_begun) is_begun = epoll_ctl(events_.get(), EPOLL_CTL_ADD, flight.socket.get(), &wanted) == 0;
    if (!is_begun) {
      tally_.failed(std::strerror(errno));
      flight.socket = Descriptor();
      return;
    }
    free_.pop_back();
  }

  void take(std::uint64_t now) {
    const bool may_ask = !free_.empty() && !pace_.is_over(now, tally_.asked_count());
    std::uint64_t until = now + kPatience / 10;
    if (may_ask) until = std::min(until, std::max(now, pace_.due(tally_.asked_count())));
    const std::uint64_t pause = until - now;
    const timespec limit{static_cast<time_t>(pause / kSecond), static_cast<long>(pause % kSecond)};
    std::array<epoll_event, kEvents> ready{};
    const int count = epoll_pwait2(events_.get(), ready.data(), kEvents, &limit, nullptr);
    for (int i = 0; i < count; ++i) go_on(ready[static_cast<std::size_t>(i)].data.u32);
  }

  void go_on(std::uint32_t slot) {
    Flight& flight = flights_[slot];
    if (!flight.unsent.empty()) {
      if (send(flight.socket.get(), flight.unsent.data(), flight.unsent.size(), MSG_NOSIGNAL) < 0)
        return end(slot, std::strerror(errno));
      flight.unsent.clear();
      epoll_event wanted{EPOLLIN, {.u32 = slot}};
      epoll_ctl(events_.get(), EPOLL_CTL_MOD, flight.socket.get(), &wanted);
      return;
    }
    std::array<std::uint8_t, kLargestMessage> bytes;
    const ssize_t length = recv(flight.socket.get(), bytes.data(), bytes.size(), 0);
    if (length < 0) return end(slot, std::strerror(errno));
    if (type_ == SOCK_DGRAM) return judge(slot, {bytes.data(), static_cast<std::size_t>(length)});
    if (length == 0) return end(slot, "the connection ended");
    auto& received = flight.received;
    received.insert(received.end(), bytes.begin(), bytes.begin() + length);
    if (received.size() < kLengthPrefix) return;
    const auto size = static_cast<std::size_t>(received[0] << 8 | received[1]);
    if (received.size() >= kLengthPrefix + size) judge(slot, {received.data() + kLengthPrefix, size});
  }

  void judge(std::uint32_t slot, std::span<const std::uint8_t> message) {
    const Flight& flight = flights_[slot];
    if (message.size() < 12 || (message[0] << 8 | message[1]) != flight.id) {
      tally_.stray();
      return;
    }
    last_ = read_clock(CLOCK_MONOTONIC);
    tally_.answered(message, last_ - flight.begun);
    release(slot);
  }

  void end(std::uint32_t slot, const std::string& why) {
    tally_.failed(why);
    release(slot);
  }

  void release(std::uint32_t slot) {
    flights_[slot].socket = Descriptor();
    flights_[slot].unsent.clear();
    free_.push_back(slot);
  }

  void give_up(std::uint64_t now) {
    for (std::uint32_t slot = 0; slot < flights_.size(); ++slot)
      if (flights_[slot].socket.get() >= 0 && now - flights_[slot].begun > kPatience) end(slot, "no answer in time");
  }

  sockaddr_storage server_;
  int type_;
  Descriptor events_;
  Pace pace_;
  Names& names_;
  Tally& tally_;
  std::vector<Flight> flights_;
  std::vector<std::uint32_t> free_;
  std::uint64_t last_ = 0;
  std::uint16_t id_ = 0;
};

}  // namespace

Result<std::uint64_t> ask_over_fresh_sockets(const sockaddr_storage& server, int type, Pace pace, Names& names,
                                             Tally& tally) {
  Descriptor events(epoll_create1(EPOLL_CLOEXEC));
  if (events.get() < 0) return fail_errno(errno, "make an epoll descriptor");
  return FreshSockets(server, type, std::move(events), pace, names, tally).run();
}

}  // namespace namewall::bench
