#include "agent/host/relearning.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace namewall::agent {
namespace {

std::map<std::string, Lesson> lessons_of(const std::vector<GrantRecord>& learned, const PolicyImage& image,
                                         BootTime now) {
  std::map<std::string, Lesson> lessons;
  for (const GrantRecord& record : learned) {
    const DomainName& name = record.grant.name;
    Lesson& lesson = lessons.try_emplace(name.text(), Lesson{name, decide_name(image, name), 0, {}, 0}).first->second;
    if (!lesson.decision.teaches() || lesson.grants.size() == kMaxAnswerAddresses) continue;
    Grant grant = record.grant;
    grant.ports = (record.is_private ? lesson.decision.allow_private : lesson.decision.allow) & kAllPorts;
    if (grant.deadline == kNever && image.retain == Retain::kTtl) grant.deadline = now + image.min_ttl + image.grace;
    lesson.grants.push_back(std::move(grant));
  }
  return lessons;
}

}  // namespace

void teach_again(HostBackend& backend, std::uint64_t cgroup_id, const std::vector<GrantRecord>& learned,
                 const PolicyImage& image, BootTime now) {
  const auto lessons = lessons_of(learned, image, now);
  std::vector<LessonOrder> orders;
  for (const auto& [name, lesson] : lessons) {
    if (!lesson.grants.empty()) orders.push_back({cgroup_id, &lesson});
  }
  backend.teach_all(orders, now);
}

void end_what_never_ends(HostBackend& backend, std::uint64_t cgroup_id, const PolicyImage& image, BootTime now) {
  if (image.retain != Retain::kTtl) return;
  std::vector<std::uint64_t> ids{cgroup_id};
  if (const auto armed = backend.armed()) {
    for (const ArmedCgroup& one : *armed) {
      if (one.template_id == cgroup_id && !one.has_own_policy) ids.push_back(one.cgroup_id);
    }
  }
  for (const std::uint64_t id : ids) {
    auto learned = backend.read_grants(id);
    if (!learned) continue;
    std::erase_if(*learned, [](const GrantRecord& record) { return record.grant.deadline != kNever; });
    teach_again(backend, id, *learned, image, now);
  }
}

}  // namespace namewall::agent
