// The verdict on (protocol, address, port, now): the one definition that every backend obeys. The walk, in order:
// host deny, deny rules, loopback rule, address rules, live grants, refuse. `explain` prints exactly this walk.
#pragma once

#include <string>
#include <span>
#include <vector>

#include "policy/grant_table.h"
#include "policy/policy_image.h"
#include "policy/reason.h"

namespace namewall {

struct Destination {
  Protocol protocol = Protocol::kTcp;
  Address address;
  Port port;
  std::string to_string() const;  // "tcp 192.0.2.1:443", "udp [2001:db8::1]:53"
};

struct VerdictStep {
  std::string stage;   // "host deny", "deny rules", "loopback", "address rules", "grants"
  std::string detail;  // what was compared with what
  bool decided = false;
};

struct Verdict {
  bool allowed = false;
  Reason reason = NW_REASON_NONE;   // of a refusal
  std::vector<VerdictStep> walk;    // up to and with the deciding step
  std::vector<DomainName> names;    // whose grants cover the address, live first
};

// The facts about a loopback destination that only the kernel knows: whose socket is there.
enum class LoopbackListener { kNone, kOwn, kForeign };

Verdict judge(const PolicyImage& image, const GrantTable& grants, const Destination& destination, BootTime now,
              LoopbackListener listener = LoopbackListener::kNone);

// The model of a workload's DNS side.
struct QuestionVerdict {
  bool may_ask = false;
  NameDecision decision;
  Reason reason = NW_REASON_NONE;
};
QuestionVerdict judge_question(const PolicyImage& image, std::span<const std::uint8_t> message);

// What an answer, already matched to its question, teaches at `now`: the grants to add (notes among them), or the
// reason why it is withheld. `own_addresses` are the host's own.
struct Teaching {
  bool deliver = true;
  Reason reason = NW_REASON_NONE;  // of a withheld answer, or of one delivered that teaches nothing
  std::vector<Grant> grants;
};
Teaching judge_answer(const PolicyImage& image, std::span<const std::uint8_t> message,
                      const std::vector<Address>& own_addresses, BootTime now);

}  // namespace namewall
