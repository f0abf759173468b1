// What a backend reports: a refusal, a withheld answer, or (rarely) a first use. A value; every string in it was chosen
// by an attacker and must go through escape.h before it is shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/address.h"
#include "policy/boot_time.h"
#include "policy/port_set.h"
#include "policy/reason.h"

namespace namewall {

enum class Hook : std::uint8_t { kConnect, kSend, kQuestion, kAnswer, kPacket, kSocket, kBind, kInbound };

struct Event {
  BootTime time;
  std::uint32_t workload_id = 0;
  std::uint64_t cgroup_id = 0;  // of the workload
  std::uint32_t policy_generation = 0;
  Hook hook = Hook::kConnect;
  Reason reason = NW_REASON_NONE;
  bool audit = false;           // would have been refused; mode = "audit"
  std::uint8_t ip_protocol = 0;  // IPPROTO_*
  Address address;              // destination; for kInbound the peer; for kQuestion the resolver
  Port port;
  std::string name;             // question, or the name last seen for the address; "" if none
  std::uint16_t question_type = 0;
  std::uint32_t pid = 0;        // 0 where the kernel does not know the task (softirq)
  std::uint32_t uid = 0;
  std::string command;          // comm of the task
  std::uint64_t left_out = 0;   // events of this workload dropped by its rate since the last one
  std::int64_t expired_for_ns = 0;  // of kExpired
  std::uint64_t netns_cookie = 0;
  std::vector<std::uint8_t> packet;  // of a refused question: the IP packet, for the answer the agent gives
};

}  // namespace namewall
