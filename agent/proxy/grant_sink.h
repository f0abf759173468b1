// Where the proxy's grants go: the kernel, by one backend or the other.
#pragma once

#include <cstdint>
#include <span>

#include "policy/lesson.h"
#include "policy/reason.h"

namespace namewall::agent {

class GrantSink {
 public:
  virtual ~GrantSink() = default;
  // NW_REASON_NONE: every grant is in the kernel, acknowledged. Else why not: a bound (GRANTS_FULL, NAMES_FULL, ...),
  // NOT_ARMED when the workload is gone, or TEACHING_FAILED. Grants of the lesson may be in the kernel even then.
  virtual Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) = 0;
  // Several, in this order; each gets its reason. One that fails holds back no other.
  virtual void teach_all(std::span<LessonOrder> orders, BootTime now) {
    for (LessonOrder& order : orders) order.reason = teach(order.cgroup_id, *order.lesson, now);
  }
};

}  // namespace namewall::agent
