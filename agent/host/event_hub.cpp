#include "agent/host/event_hub.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace namewall::agent {

Result<EventHub> EventHub::open(std::size_t kept) {
  FileDescriptor signal(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signal) return fail_errno(errno, "cannot make the descriptor that tells of events");
  return EventHub(std::move(signal), kept);
}

void EventHub::add(KeptEvent kept) {
  kept.sequence = ++newest_;
  kept.event.packet.clear();
  kept.event.packet.shrink_to_fit();
  left_out_ += kept.event.left_out;
  auto shared = std::make_shared<const KeptEvent>(std::move(kept));
  if (!shared->is_notice) {
    std::deque<KeptEventPtr>& own = by_workload_[shared->workload];
    own.push_back(shared);
    if (own.size() > kRefusalsKeptPerWorkload) own.pop_front();
  }
  ring_.push_back(std::move(shared));
  if (ring_.size() > kept_) ring_.pop_front();
  const std::uint64_t one = 1;
  // Fails only when the counter is full: then it is readable anyway.
  (void)!::write(signal_.get(), &one, sizeof one);
}

void EventHub::add_notice(std::string workload, std::string code, std::string sentence, Nanoseconds utc) {
  KeptEvent kept;
  kept.utc = utc;
  kept.workload = std::move(workload);
  kept.is_notice = true;
  kept.notice = std::move(code);
  kept.notice_sentence = std::move(sentence);
  add(std::move(kept));
}

std::vector<EventView> EventHub::find(const EventFilter& filter, std::size_t limit, Nanoseconds utc_now) const {
  auto from = std::partition_point(ring_.begin(), ring_.end(),
                                   [&](const KeptEventPtr& kept) { return kept->sequence <= filter.since_sequence; });
  const bool has_age = filter.since_s >= 0;
  const Nanoseconds oldest =
      has_age ? utc_now - std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(filter.since_s))
              : Nanoseconds{};
  std::vector<EventView> views;
  for (; from != ring_.end() && views.size() < limit; ++from) {
    if (has_age && (*from)->utc < oldest) continue;
    if (matches(filter, **from)) views.push_back(view_of(**from));
  }
  return views;
}

std::vector<KeptEventPtr> EventHub::refusals_of(const std::string& workload) const {
  const auto found = by_workload_.find(workload);
  if (found == by_workload_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

void EventHub::forget(const std::string& workload) { by_workload_.erase(workload); }

}  // namespace namewall::agent
