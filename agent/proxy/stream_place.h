// The listening TCP socket of a proxy place and its connections (RFC 7766): pipelined questions, answers in any order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "agent/proxy/asker.h"
#include "agent/proxy/poller.h"
#include "agent/proxy/proxy_core.h"
#include "agent/proxy/stream_frames.h"
#include "policy/boot_time.h"
#include "policy/file_descriptor.h"
#include "policy/resolv_conf.h"

namespace namewall::agent {

// What a stream place asks of the proxy. Each connection is a place of its own for ClientHandle.
class StreamHost {
 public:
  virtual ~StreamHost() = default;
  virtual std::uint64_t next_place_number() = 0;
  // Of the socket whose ends these are; 0: unknown.
  virtual std::uint64_t find_cgroup(const ResolverAddress& its_local, const ResolverAddress& its_remote) = 0;
  virtual Asker find_asker(std::uint64_t cgroup_id) = 0;
  // Whether the workload may have another connection; leave() when that is over.
  virtual bool admit(const Asker& asker) = 0;
  virtual void leave(const Asker& asker) = 0;
  // May call reply() at once.
  virtual void on_question(const ClientHandle& client, const Asker& asker, std::span<const std::uint8_t> message) = 0;
  virtual void on_closed(std::uint64_t place_number) = 0;
};

class StreamPlace {
 public:
  static constexpr std::uint32_t kMaxWaiting = 16;                      // questions of a connection without an answer
  static constexpr std::size_t kMaxUnsent = 64 << 10;                   // with more of it no further question is read
  static constexpr Nanoseconds kAnswerTime = std::chrono::seconds(30);  // beyond its idle time, for what is unanswered

  // `number`: of the listening socket in `poller`; connections get theirs from `host`. All outlive this.
  StreamPlace(FileDescriptor listening, std::uint64_t number, const ResolverAddress& own, Poller& poller,
              StreamHost& host);
  ~StreamPlace();
  StreamPlace(const StreamPlace&) = delete;

  int fd() const { return listening_.get(); }
  bool has(std::uint64_t number) const { return connections_.contains(number); }
  void on_listening_ready(BootTime now);
  void on_connection_ready(std::uint64_t number, std::uint32_t events, BootTime now);
  void reply(const ClientHandle& client, std::span<const std::uint8_t> message, BootTime now);
  // Sends what was replied, and goes on with what waited for that.
  void flush(BootTime now);
  // Closes what is idle or does not read its answers; every half second or so.
  void tick(BootTime now);
  std::size_t connections() const { return connections_.size(); }

 private:
  struct Connection;
  void take_questions(std::uint64_t number, Connection& connection, BootTime now);
  bool send_answers(Connection& connection, BootTime now);
  void settle(std::uint64_t number, Connection& connection);
  void close(std::uint64_t number);

  FileDescriptor listening_;
  std::uint64_t number_;
  ResolverAddress own_;
  Poller& poller_;
  StreamHost& host_;
  bool is_listening_ = false;  // in the poller
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<std::uint64_t> replied_;  // connections that have something to send
};

}  // namespace namewall::agent
