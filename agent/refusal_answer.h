// The answer that the agent gives to a question the kernel refused, so that resolvers which ignore a failed send (musl,
// dig) stop at once: built from the refused packet, sent by a raw socket from the packet's wire destination.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/event.h"
#include "policy/policy.h"
#include "policy/result.h"

namespace namewall::agent {

// The whole IP packet (IPv4 or IPv6, UDP, checksums) that answers `question_packet` with the rcode of `refuse_with` (no SOA) and,
// when the question had an OPT, an Extended DNS Error (15 Blocked for nxdomain, 18 Prohibited for refused, 17 Filtered for
// nodata) with `text`. nullopt: the packet is not a well-formed question over UDP.
std::optional<std::vector<std::uint8_t>> build_refusal_answer(std::span<const std::uint8_t> question_packet,
                                                              RefuseWith refuse_with, const std::string& text);

// Sends such answers within one network namespace (that of the process that opens it).
class RefusalAnswerer {
 public:
  static Result<RefusalAnswerer> open();
  RefusalAnswerer(RefusalAnswerer&&) noexcept;
  RefusalAnswerer& operator=(RefusalAnswerer&&) noexcept;
  ~RefusalAnswerer();
  // Binds the raw socket to the packet's own source before the send, so that the agent cannot be made to send
  // elsewhere: a source that is not local here is an error. Events older than `max_age` are not answered.
  Result<void> answer(const Event& event, RefuseWith refuse_with, BootTime now);

 private:
  struct State;
  explicit RefusalAnswerer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
