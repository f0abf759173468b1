// A lesson as the proxy would make it.
#pragma once

#include <string>
#include <vector>

#include "policy/domain_name.h"
#include "policy/image_hash.h"
#include "policy/lesson.h"
#include "policy/special_use.h"
#include "tests/kernel/support/socket_address.h"

namespace namewall::kernel_tests {

inline Lesson make_lesson(const PolicyImage& image, const std::string& name, const std::vector<std::string>& addresses,
                          BootTime deadline) {
  Lesson lesson{
      .name = DomainName::from_normal(name), .decision = {}, .image_hash = 0, .grants = {}, .replaces_family = 0};
  lesson.decision = decide_name(image, lesson.name);
  lesson.image_hash = hash_of(image);
  for (const std::string& text : addresses) {
    const Address address = ip(text);
    const bool is_private = classify_address(address, !address.is_v4()) == SpecialUse::kPrivate;
    const PortMask ports = is_private ? lesson.decision.allow_private : lesson.decision.allow;
    lesson.grants.push_back(
        {.name = lesson.name, .address = address, .deadline = deadline, .ports = ports & kAllPorts});
  }
  return lesson;
}

}  // namespace namewall::kernel_tests
