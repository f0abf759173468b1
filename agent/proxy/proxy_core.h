// The proxy without its sockets: questions in, answers out, the clock an argument. Pure but for what its seams do.
//
// A question: parsed, attributed by the caller, judged at each level of the asker (a refusal is answered at once with
// its EDE and text), held to the asker's bounds, then queued; run_turn() takes questions from the workloads in turn.
// One identical question in flight (same target, name, type, EDNS, DO, RD, CD) is asked once; the cache answers first.
// An answer: for each asker that waits for it, what it teaches at each level goes to the sink, and only when every
// level is acknowledged is the answer sent; else SERVFAIL with EDE 14 and a text, an event, a counter.
//
// What is sent is what the resolver sent, byte for byte, but: the id and the question's spelling are the client's; TTLs
// are cut (max_ttl, and age of a cached answer); HTTPS/SVCB hints and ECH are as the policy says; over UDP what exceeds
// the client's size becomes an empty answer with TC.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/proxy/asker.h"
#include "agent/proxy/grant_sink.h"
#include "agent/proxy/upstream.h"
#include "policy/event.h"

namespace namewall::agent {

// Who waits for an answer: opaque to the core.
struct ClientHandle {
  std::uint64_t place = 0;  // of the socket it came in by
  std::uint64_t token = 0;  // of the datagram's source, or of the connection and the question on it
  friend auto operator<=>(const ClientHandle&, const ClientHandle&) = default;
};

struct ClientQuestion {
  ClientHandle client;
  Asker asker;
  UpstreamTarget target;
  bool over_tcp = false;
  std::uint32_t pid = 0, uid = 0;  // where known, for events
  std::span<const std::uint8_t> message;
};

class ProxyOutput {
 public:
  virtual ~ProxyOutput() = default;
  // Called at most once for each question, also from on_question(); not called for what deserves no answer.
  virtual void reply(const ClientHandle& client, std::span<const std::uint8_t> message) = 0;
  // A refused question, a withheld answer; in audit mode, what would be. `event.cgroup_id` names the level. At most as
  // many for one workload as the kernel reports; `left_out` counts the others.
  virtual void report(const Event& event) = 0;
  // The workload as it is now, with the policies in force; nullptr: it is gone. Asked by forget_workload().
  virtual Asker find_asker(std::uint64_t /*cgroup_id*/) { return nullptr; }
};
// None of these may call the core.

#define NW_PROXY_COUNTERS(X)                                                                                     \
  X(questions)                                                                                                   \
  X(refused)                                                                                                     \
  X(malformed) X(asked_upstream) X(joined) X(cache_hits) X(answered) X(failed_upstream) X(withheld) X(truncated) \
      X(over_bounds) X(taught)

struct ProxyFigures {
#define NW_PROXY_FIELD(name) std::uint64_t name = 0;
  NW_PROXY_COUNTERS(NW_PROXY_FIELD)
#undef NW_PROXY_FIELD
  std::uint64_t cached_bytes = 0, waiting = 0, in_flight = 0;
};

struct ProxyLimits {
  std::size_t cache_bytes = 8u << 20;     // of all resolvers together; 0: no cache
  std::size_t flights = 8192;             // questions to resolvers at a time, of all workloads
  std::size_t workload_bytes = 1u << 20;  // of the unanswered questions of one workload
  std::uint64_t seed = 0;                 // of the hashes that place what outsiders choose: a random number
};

class ProxyCore {
 public:
  ProxyCore(Upstream& upstream, GrantSink& sink, ProxyOutput& output, const ProxyLimits& limits);
  ~ProxyCore();
  ProxyCore(const ProxyCore&) = delete;

  void set_own_addresses(std::vector<Address> addresses);  // answers never teach them
  // The time at which answers come: to be told before the upstream gets to call its Done. The others tell it, too.
  void set_time(BootTime now);
  void on_question(const ClientQuestion& question, BootTime now);
  // Between the two, answers wait with what they teach, so that the lessons of several go to the sink together; the end
  // lets them out. Elsewhere each is let out as it comes.
  void begin_batch();
  void end_batch();
  // Asks what waits, the workloads in turn, a bounded number. To be called after each batch of questions and after each
  // of answers (which make room for others). True: more could be asked at once.
  bool run_turn(BootTime now);
  // The connection or socket is gone: nobody is to be answered by it any more.
  void forget_place(std::uint64_t place);
  // The workload is gone, has another policy or another nesting. What waits for it is judged again, by the asker that
  // ProxyOutput::find_asker has for its innermost workload, now and when the answer comes; where there is none it is
  // answered SERVFAIL. Its bounds stay as they are, by cgroup id, for as long as they hold back anything.
  void forget_workload(std::uint64_t cgroup_id);
  // Ages bounds and the cache; every second or so.
  void tick(BootTime now);
  ProxyFigures figures() const;
  std::vector<std::pair<std::uint64_t, ProxyFigures>> figures_by_workload() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
