#include "bpf/lesson_runner.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "bpf/rule_entries.h"
#include "policy/special_use.h"

namespace namewall::bpf {
namespace {

using Grants = std::span<const nw_lesson_grant>;

std::uint64_t to_nanoseconds(BootTime time) { return static_cast<std::uint64_t>(time.since_boot.count()); }

bool is_before(const nw_lesson_grant& a, const nw_lesson_grant& b) {
  return std::memcmp(a.address, b.address, sizeof(a.address)) < 0;
}

// As the kernel marks what it learns: which of the name's masks goes for the address.
bool is_private(const Grant& grant) {
  if (grant.note != NW_REASON_NONE) return grant.note == NW_REASON_PRIVATE_ANSWER;
  return classify_address(grant.address, !grant.address.is_v4()) == SpecialUse::kPrivate;
}

nw_lesson_head make_head(const nw_workload& workload, const Lesson& lesson, const NameDecision& decision,
                         std::uint32_t generation) {
  const auto word = [&](PortMask mask) { return std::uint64_t{generation} << NW_MASK_BITS | (mask & NW_MASK); };
  nw_lesson_head head{};
  head.slot = workload.slot;
  head.workload_id = workload.workload_id;
  head.flags = workload.flags;
  head.bucket_count = workload.bucket_count;
  head.seed = workload.seed;
  head.ports = word(decision.allow);
  head.private_ports = word(decision.allow_private);
  head.length = static_cast<std::uint32_t>(lesson.name.text().size());
  head.labels = static_cast<std::uint32_t>(lesson.name.label_count());
  head.window = make_window(lesson.name.text());
  for (const Grant& grant : lesson.grants)
    head.deadline = std::max<__u64>(head.deadline, to_nanoseconds(grant.deadline));
  return head;
}

std::vector<nw_lesson_grant> make_grants(const Lesson& lesson) {
  std::vector<nw_lesson_grant> grants;
  grants.reserve(lesson.grants.size());
  for (const Grant& grant : lesson.grants) {
    nw_lesson_grant& given = grants.emplace_back();
    given.deadline = to_nanoseconds(grant.deadline);
    copy_address(grant.address, given.address);
    given.note = grant.note;
    given.is_private = is_private(grant);
  }
  return grants;
}

Reason run_once(int program_fd, nw_lesson_head head, Grants grants) {
  head.count = static_cast<std::uint32_t>(grants.size());
  std::array<std::uint8_t, NW_LESSON_AT + sizeof(head) + NW_LESSON_GRANTS * sizeof(nw_lesson_grant)> packet;
  std::memset(packet.data(), 0, NW_LESSON_AT);
  std::memcpy(packet.data() + NW_LESSON_AT, &head, sizeof(head));
  std::memcpy(packet.data() + NW_LESSON_AT + sizeof(head), grants.data(), grants.size_bytes());
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(),
              .data_size_in = static_cast<std::uint32_t>(NW_LESSON_AT + sizeof(head) + grants.size_bytes()));
  if (bpf_prog_test_run_opts(program_fd, &options) < 0 || options.retval >= NW_REASON_COUNT)
    return NW_REASON_TEACHING_FAILED;
  return static_cast<Reason>(options.retval);
}

// All addresses of a family that are ever granted: below the v4-mapped ones are none.
struct Range {
  Address first, last;
};

Range range_of(std::uint8_t family) {
  std::array<std::uint8_t, 16> first{}, last{};
  if (family == 4) {
    first[10] = first[11] = 0xff;
    last = first;
    std::fill(last.begin() + 12, last.end(), 0xff);
  } else {
    first[9] = 1;
    last.fill(0xff);
  }
  return {Address::v6(first), Address::v6(last)};
}

}  // namespace

Reason LessonRunner::run(const nw_workload& workload, const Lesson& lesson, const NameDecision& decision,
                         std::uint32_t generation) const {
  if (lesson.grants.size() > kMaxAnswerAddresses || lesson.name.text().size() > NW_NAME_MAX ||
      lesson.name.text().empty())
    return NW_REASON_TEACHING_FAILED;
  nw_lesson_head head = make_head(workload, lesson, decision, generation);
  std::vector<nw_lesson_grant> grants = make_grants(lesson);
  head.what = NW_LESSON_PUT;
  if (lesson.replaces_family != 0) {
    const Range range = range_of(lesson.replaces_family);
    copy_address(range.first, head.first);
    copy_address(range.last, head.last);
    if (grants.size() <= NW_LESSON_GRANTS) head.what |= NW_LESSON_REPLACE;
  }
  std::size_t at = 0;
  do {
    const Grants part = Grants(grants).subspan(at, std::min<std::size_t>(NW_LESSON_GRANTS, grants.size() - at));
    if (const Reason reason = run_once(program_fd_, head, part); reason != NW_REASON_NONE) return reason;
    at += NW_LESSON_GRANTS;
  } while (at < grants.size());
  if (lesson.replaces_family == 0 || (head.what & NW_LESSON_REPLACE) != 0) return NW_REASON_NONE;

  // All are in. Each of these runs looks at the addresses between its first grant and its last one, which is the next
  // run's first.
  head.what = NW_LESSON_REPLACE;
  std::sort(grants.begin(), grants.end(), is_before);
  const nw_lesson_head whole = head;
  for (at = 0; at + 1 < grants.size(); at += NW_LESSON_GRANTS - 1) {
    const Grants part = Grants(grants).subspan(at, std::min<std::size_t>(NW_LESSON_GRANTS, grants.size() - at));
    const bool is_last = at + part.size() == grants.size();
    std::memcpy(head.first, at == 0 ? whole.first : part.front().address, sizeof(head.first));
    std::memcpy(head.last, is_last ? whole.last : part.back().address, sizeof(head.last));
    if (const Reason reason = run_once(program_fd_, head, part); reason != NW_REASON_NONE) return reason;
    if (is_last) break;
  }
  return NW_REASON_NONE;
}

}  // namespace namewall::bpf
