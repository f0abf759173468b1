// What user space teaches the kernel: the grants of one answer, decided by the model, put into the tables by the same
// code that puts those of the kernel path there (a program run for it), so that both may learn at once.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/boot_time.h"
#include "policy/domain_name.h"
#include "policy/grant_table.h"
#include "policy/policy_image.h"
#include "policy/port_set.h"
#include "policy/reason.h"
#include "policy/resolv_conf.h"

namespace namewall::bpf {

struct Lesson {
  DomainName name;               // the question's
  NameDecision decision;         // what a policy says of it, as the model decided,
  std::uint64_t image_hash = 0;  // and whose: hash_of the image. 0: of the one in force. When another is in force by
                                 // now, its decision counts
  std::vector<Grant> grants;     // of this name; notes among them. At most kMaxAnswerAddresses. kNever is a deadline
  // retain = until-next-answer: live grants of the same name and family (4 or 6) that are not among `grants` end now.
  // 0: none do.
  std::uint8_t replaces_family = 0;
};

inline constexpr std::size_t kMaxAnswerAddresses = 4096;

// One of several lessons that are taught together, and what became of it.
struct LessonOrder {
  std::uint64_t cgroup_id = 0;
  const Lesson* lesson = nullptr;
  Reason reason = NW_REASON_TEACHING_FAILED;
};

// Where the proxy listens for questions to one resolver in one network namespace: on 127.0.0.1 for an IPv4 resolver, on
// ::1 for an IPv6 one. A place belongs to one resolver only, so that answers can be given its address again.
struct ProxyPlace {
  std::uint64_t netns_cookie = 0;
  ResolverAddress resolver;  // as programs name it
  Protocol protocol = Protocol::kUdp;
  Port port;  // of the proxy's socket
  friend auto operator<=>(const ProxyPlace&, const ProxyPlace&) = default;
};

// A token that egress writes into bits 16 to 31 of the mark of packets to a proxy place, and nowhere else. 0: none.
using AskerToken = std::uint16_t;

// What a packet to a proxy place says of its sender where marks cannot be had: written by egress for each such packet,
// taken once.
struct AskerKey {
  std::uint64_t netns_cookie = 0;
  Address address;  // the packet's source
  Port port;
  std::vector<std::uint8_t> message;  // the DNS message: only what its sender really sent is its own
};

}  // namespace namewall::bpf
