// Where events meet: the newest of the whole host in a ring, the newest refusals of each workload beside it (a flood of
// a neighbour does not push them out), and a descriptor that tells streams of news.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/host/kept_event.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

inline constexpr std::size_t kEventsKept = 8192;
inline constexpr std::size_t kRefusalsKeptPerWorkload = 32;

class EventHub {
 public:
  static Result<EventHub> open(std::size_t kept = kEventsKept);

  // `kept.sequence` is set here.
  void add(KeptEvent kept);
  // `workload` "": of the daemon.
  void add_notice(std::string workload, std::string code, std::string sentence, Nanoseconds utc);

  // Oldest first, at most `limit`, the oldest that match first. With `since_s` only what is at most that old.
  std::vector<EventView> find(const EventFilter& filter, std::size_t limit, Nanoseconds utc_now) const;
  // Of one workload, the newest last.
  std::vector<KeptEventPtr> refusals_of(const std::string& workload) const;
  void forget(const std::string& workload);

  std::uint64_t newest() const { return newest_; }
  std::uint64_t left_out() const { return left_out_; }  // by the kernel, as far as later events told
  int signal_fd() const { return signal_.get(); }       // readable when newest() has grown

 private:
  explicit EventHub(FileDescriptor signal, std::size_t kept) : signal_(std::move(signal)), kept_(kept) {}

  FileDescriptor signal_;
  std::size_t kept_;
  std::uint64_t newest_ = 0;
  std::uint64_t left_out_ = 0;
  std::deque<KeptEventPtr> ring_;
  std::unordered_map<std::string, std::deque<KeptEventPtr>> by_workload_;
};

}  // namespace namewall::agent
