// What user space teaches a backend: the grants of one answer, as the model decided. In the BPF backend the code of the
// kernel path puts them into the tables (a program run for it), so that both may learn at once.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/boot_time.h"
#include "policy/domain_name.h"
#include "policy/grant_table.h"
#include "policy/policy_image.h"
#include "policy/reason.h"

namespace namewall {

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

}  // namespace namewall
