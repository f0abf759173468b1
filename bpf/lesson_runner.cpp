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

void make_grants(const Lesson& lesson, std::vector<nw_lesson_grant>& grants) {
  grants.clear();
  for (const Grant& grant : lesson.grants) {
    nw_lesson_grant& given = grants.emplace_back();
    given.deadline = to_nanoseconds(grant.deadline);
    copy_address(grant.address, given.address);
    given.note = grant.note;
    given.is_private = is_private(grant);
  }
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

LessonRunner::LessonRunner(int program_fd) : program_fd_(program_fd) {
  static_assert(NW_LESSON_AT + sizeof(nw_lesson_head) + NW_LESSON_GRANTS * sizeof(nw_lesson_grant) <= NW_LESSONS_BYTES);
}

void LessonRunner::append(const nw_lesson_head& head, Grants grants, Reason& reason) {
  const std::size_t size = sizeof(head) + grants.size_bytes();
  if (count_ == NW_LESSONS || size_ + size > packet_.size()) run();
  if (size_ == 0) {
    std::memset(packet_.data(), 0, NW_LESSON_AT);
    size_ = NW_LESSON_AT;
  }
  nw_lesson_head counted = head;
  counted.count = static_cast<std::uint32_t>(grants.size());
  std::memcpy(packet_.data() + size_, &counted, sizeof(counted));
  if (!grants.empty()) std::memcpy(packet_.data() + size_ + sizeof(counted), grants.data(), grants.size_bytes());
  waiting_[count_++] = {&reason, size_};
  size_ += size;
}

void LessonRunner::run() {
  for (std::size_t first = 0; first < count_;) {
    // The lessons that are left, behind what every packet begins with.
    const std::size_t start = waiting_[first].at - NW_LESSON_AT;
    if (first != 0) std::memset(packet_.data() + start, 0, NW_LESSON_AT);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet_.data() + start,
                .data_size_in = static_cast<std::uint32_t>(size_ - start));
    const bool has_run = bpf_prog_test_run_opts(program_fd_, &options) >= 0;
    const std::uint32_t reason = options.retval & NW_LESSON_REASON;
    const std::size_t done = options.retval >> NW_LESSONS_DONE_SHIFT;
    const bool is_whole = reason == NW_REASON_NONE && first + done == count_;
    const bool is_part = reason != NW_REASON_NONE && reason < NW_REASON_COUNT && first + done < count_;
    if (!has_run || (!is_whole && !is_part)) {
      while (first < count_) *waiting_[first++].reason = NW_REASON_TEACHING_FAILED;
      break;
    }
    for (const std::size_t end = first + done; first < end; ++first) *waiting_[first].reason = NW_REASON_NONE;
    if (is_part) *waiting_[first++].reason = static_cast<Reason>(reason);
  }
  count_ = size_ = 0;
}

Reason LessonRunner::run_one(const nw_lesson_head& head, Grants grants) {
  Reason reason = NW_REASON_TEACHING_FAILED;
  append(head, grants, reason);
  run();
  return reason;
}

void LessonRunner::add(const nw_workload& workload, const Lesson& lesson, const NameDecision& decision,
                       std::uint32_t generation, Reason& reason) {
  reason = NW_REASON_TEACHING_FAILED;
  if (lesson.grants.size() > kMaxAnswerAddresses || lesson.name.text().size() > NW_NAME_MAX ||
      lesson.name.text().empty())
    return;
  nw_lesson_head head = make_head(workload, lesson, decision, generation);
  make_grants(lesson, grants_);
  head.what = NW_LESSON_PUT;
  if (lesson.replaces_family != 0) {
    const Range range = range_of(lesson.replaces_family);
    copy_address(range.first, head.first);
    copy_address(range.last, head.last);
  }
  if (grants_.size() <= NW_LESSON_GRANTS) {
    if (lesson.replaces_family != 0) head.what |= NW_LESSON_REPLACE;
    append(head, grants_, reason);
  } else {
    run();
    reason = run_in_parts(head, lesson.replaces_family != 0);
  }
}

Reason LessonRunner::run_in_parts(nw_lesson_head head, bool replaces) {
  Reason reason = put_in_parts(head);
  if (!replaces) return reason;
  std::sort(grants_.begin(), grants_.end(), is_before);
  if (reason == NW_REASON_GRANTS_FULL) {  // there may be room in what the answer ends
    reason = replace_in_parts(head);
    if (reason == NW_REASON_NONE) reason = put_in_parts(head);
  }
  return reason == NW_REASON_NONE ? replace_in_parts(head) : reason;
}

Reason LessonRunner::put_in_parts(const nw_lesson_head& head) {
  for (std::size_t at = 0; at < grants_.size(); at += NW_LESSON_GRANTS) {
    const Grants part = Grants(grants_).subspan(at, std::min<std::size_t>(NW_LESSON_GRANTS, grants_.size() - at));
    if (const Reason reason = run_one(head, part); reason != NW_REASON_NONE) return reason;
  }
  return NW_REASON_NONE;
}

// Each run looks at the addresses between its first grant and its last one, which is the next run's first.
Reason LessonRunner::replace_in_parts(nw_lesson_head head) {
  head.what = NW_LESSON_REPLACE;
  const nw_lesson_head whole = head;
  for (std::size_t at = 0; at + 1 < grants_.size(); at += NW_LESSON_GRANTS - 1) {
    const Grants part = Grants(grants_).subspan(at, std::min<std::size_t>(NW_LESSON_GRANTS, grants_.size() - at));
    const bool is_last = at + part.size() == grants_.size();
    std::memcpy(head.first, at == 0 ? whole.first : part.front().address, sizeof(head.first));
    std::memcpy(head.last, is_last ? whole.last : part.back().address, sizeof(head.last));
    if (const Reason reason = run_one(head, part); reason != NW_REASON_NONE) return reason;
    if (is_last) break;
  }
  return NW_REASON_NONE;
}

}  // namespace namewall::bpf
