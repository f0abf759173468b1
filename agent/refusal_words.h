// What is said to a question that the kernel refused.
#pragma once

#include <string>

#include "policy/event.h"
#include "policy/policy_image.h"

namespace namewall::agent {

struct RefusalWords {
  RefuseWith refuse_with = RefuseWith::kNxdomain;
  std::string text;  // of the Extended DNS Error
};

// As the DNS proxy says it (policy/refusal_text.h): the policy and the rule. `image`: of the workload that the event
// is of; nullptr: not known. Where the image, which may be a later one, has no word on the name, the reason's sentence.
// A question beyond a bound is answered REFUSED, whatever the policy says of names.
RefusalWords words_for(const Event& event, const PolicyImage* image);

}  // namespace namewall::agent
