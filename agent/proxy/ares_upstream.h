// Upstream by c-ares (1.18): raw questions with ids of our own, failover, timeouts, TCP after truncation.
//
// A resolver is asked by a pool of channels, another one each turn. A channel keeps one UDP socket for each server, so
// its port changes only as the channel is replaced: after kQuestionsPerChannel questions or kChannelLife.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "agent/proxy/poller.h"
#include "agent/proxy/upstream.h"
#include "policy/boot_time.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {

struct AresUpstreamOptions {
  // Makes a socket in the namespace of that cookie; 0: the caller's own. Whether it blocks does not matter.
  std::function<Result<FileDescriptor>(std::uint64_t netns_cookie, int family, int type)> make_socket;
  int timeout_ms = 2000;  // of the first try of each server; doubled for the next round
  int tries = 2;          // rounds through the servers
};

class AresUpstream final : public Upstream {
 public:
  static constexpr unsigned kChannels = 4;
  static constexpr std::uint32_t kQuestionsPerChannel = 1024;
  static constexpr Nanoseconds kChannelLife = std::chrono::seconds(10);
  static constexpr Nanoseconds kIdle = std::chrono::seconds(60);  // until the sockets towards a resolver close
  static constexpr std::uint32_t kMaxInFlight = 16384;            // of one channel: ids stay hard to guess
  // Set in the numbers that this gives to `poller`.
  static constexpr std::uint64_t kNumberBit = 1ull << 63;

  // `poller` outlives this.
  static Result<std::unique_ptr<AresUpstream>> open(AresUpstreamOptions options, Poller& poller);
  ~AresUpstream() override;

  void ask(const UpstreamTarget& target, std::vector<std::uint8_t> query, Done done) override;

  void on_ready(std::uint64_t number, std::uint32_t events);
  // Sends what ask() queued, and calls `done` of what failed at once. At the end of each turn.
  void flush();
  bool needs_flush() const;
  // Timeouts, replaced channels, idle ones; every quarter of a second or so.
  void tick(BootTime now);
  // Closes what is in that namespace; what waits there has failed.
  void forget_netns(std::uint64_t cookie);

  struct Figures {
    std::uint64_t questions = 0, answers = 0, failures = 0;
    std::uint64_t stray = 0;  // datagrams that answer nothing which waits: late, or forged
    std::uint64_t channels_opened = 0;
    std::size_t channels = 0, in_flight = 0;  // now
  };
  Figures figures() const;

 private:
  struct State;
  explicit AresUpstream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
