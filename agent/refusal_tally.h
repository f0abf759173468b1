// What `namewall run` was refused, folded: one entry per (name or address, protocol, port, reason) with a count. A and
// AAAA of one name are one entry, and so are IPv4 and IPv6 of one name and port. Pure; bounded.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "policy/event.h"
#include "policy/policy_image.h"

namespace namewall::agent {

struct Refusal {
  Event first;  // the first occurrence; its packet is dropped
  std::uint64_t count =
      0;              // occurrences that arrived; what the kernel left out by its rate is in RefusalTally::left_out
  bool quic = false;  // a program's HTTP/3 attempt beside https, which is allowed: counted, not worth a line
};

// udp/443 to a name or address that the policy opens for tcp/443: browsers and curl try QUIC first and go on with TCP.
bool is_quic_attempt(const Event& event, const PolicyImage& image);

// A refusal that something CMD did has brought about. Unsolicited packets and answers come from others.
bool is_own_doing(const Event& event);

class RefusalTally {
 public:
  static constexpr std::size_t kMaxEntries = 1024;  // a workload that asks for endless names fills no memory

  enum class Added { kNew, kRepeated, kBeyondBound };
  // `event` has a reason other than NW_REASON_NONE.
  Added add(const Event& event, bool quic);

  const std::vector<Refusal>& entries() const { return entries_; }  // in order of first occurrence
  std::uint64_t beyond_bound() const { return beyond_bound_; }      // occurrences without an entry
  std::uint64_t left_out() const { return left_out_; }              // events that the kernel left out by its rate
  std::uint64_t total() const;                                      // occurrences, quic attempts not among them
  std::size_t targets() const;                                      // entries, quic attempts not among them
  std::uint64_t quic_total() const;

 private:
  using Key = std::tuple<std::string, Hook, std::uint8_t, std::uint16_t, Reason, bool>;
  static Key key_of(const Event& event, bool quic);

  std::map<Key, std::size_t> index_;
  std::vector<Refusal> entries_;
  std::uint64_t beyond_bound_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace namewall::agent
