// One c-ares channel and its sockets; datagrams are sent and received in batches. A part of ares_upstream.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/proxy/ares_upstream.h"
#include "agent/proxy/poller.h"
#include "agent/proxy/random_ids.h"
#include "agent/proxy/socket_endpoint.h"

struct ares_channeldata;

namespace namewall::agent {

class AresChannel;

// What the channels of one upstream share.
struct AresSurroundings {
  static constexpr std::size_t kBatch = 32;
  static constexpr std::size_t kMaxDatagram = 1536;  // above our EDNS size: what is cut here is asked again over TCP

  AresUpstreamOptions options;
  Poller& poller;
  RandomIds ids;
  AresUpstream::Figures figures;
  std::unordered_map<int, AresChannel*> owner_of;  // of a socket
  std::vector<int> unsent;                         // sockets with queued datagrams
  struct Failed {
    Upstream::Done done;
    Error error;
  };
  std::vector<Failed> failed;  // to be called at the next occasion
  bool defers = false;         // what fails now is not called back at once
  std::array<std::array<std::uint8_t, kMaxDatagram>, kBatch> received;
  std::array<iovec, kBatch> parts;          // of `received`,
  std::array<mmsghdr, kBatch> receiving{};  // for recvmmsg(2), which changes nothing but the lengths received

  AresSurroundings(AresUpstreamOptions the_options, Poller& the_poller)
      : options(std::move(the_options)), poller(the_poller) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      parts[i] = {received[i].data(), received[i].size()};
      receiving[i].msg_hdr.msg_iov = &parts[i];
      receiving[i].msg_hdr.msg_iovlen = 1;
    }
  }
  AresSurroundings(const AresSurroundings&) = delete;
};

class AresChannel {
 public:
  // `with_edns`: for questions that end with an OPT of 11 bytes, which c-ares cuts off to ask again without.
  static Result<std::unique_ptr<AresChannel>> open(AresSurroundings& around, const UpstreamTarget& target,
                                                   bool with_edns);
  ~AresChannel();  // what waits is not called back
  AresChannel(const AresChannel&) = delete;

  // Precondition: fewer than kMaxInFlight are in flight.
  void ask(std::vector<std::uint8_t> query, Upstream::Done done);
  void on_ready(int fd, std::uint32_t events);
  void send_queued(int fd);
  void check_timeouts();
  void fail_all();
  std::uint32_t in_flight() const { return in_flight_; }
  std::uint32_t questions() const { return questions_; }
  // A resolver did not take EDNS: c-ares asks nothing with it in this channel any more.
  bool has_lost_edns();

 private:
  struct Socket {
    FileDescriptor fd;
    bool is_udp = true;
    SocketEndpoint peer;
    int error = 0;                     // for c-ares, with its next read
    std::vector<std::uint8_t> queued;  // datagrams behind each other
    std::vector<std::size_t> lengths;  // of each
  };
  struct Flight;
  struct Calls;  // what c-ares calls

  AresChannel(AresSurroundings& around, std::uint64_t netns_cookie) : around_(around), netns_cookie_(netns_cookie) {}
  int open_socket(int family, int type);
  void forget_socket(int fd);
  void receive_datagrams(int fd);
  long take_datagram(Socket& socket, std::span<std::uint8_t> room, SocketEndpoint& from);
  void finish(const Flight& flight, std::span<std::uint8_t> answer, int status);

  AresSurroundings& around_;
  std::uint64_t netns_cookie_;
  ares_channeldata* channel_ = nullptr;
  std::map<int, Socket> sockets_;
  std::bitset<65536> used_ids_;
  std::uint32_t in_flight_ = 0, questions_ = 0;
  bool with_edns_ = false, is_closing_ = false;

  // Of the datagrams that are being handed to c-ares.
  int arriving_fd_ = -1;
  std::size_t arriving_ = 0, arrived_ = 0;
  std::array<std::uint16_t, AresSurroundings::kBatch> arrived_lengths_{};
  bool hides_servfail_ = false;  // the datagram that c-ares reads now
};

}  // namespace namewall::agent
