#include "agent/control/sets_stream.h"

#include <algorithm>

namespace namewall::agent {

BodySource::State SetsStream::next(std::string& piece) {
  if (const auto first = std::exchange(first_, std::nullopt)) piece += to_line(*first);
  if (std::exchange(is_begun_, false)) {
    piece += to_line(sets_.workload);
  } else if (grant_ == sets_.grants.size()) {
    if (at_ == workloads_.size()) return State::kEnd;
    auto sets = host_.sets(workloads_[at_++]);
    sets_ = sets ? *std::move(sets) : WorkloadSets();
    grant_ = 0;
    if (sets) piece += to_line(sets_.workload);  // else it went away since it was listed
  }
  const std::size_t end = std::min(grant_ + kGrantsOfPiece, sets_.grants.size());
  for (; grant_ < end; ++grant_) append_line(sets_.grants[grant_], piece);
  return State::kMore;
}

}  // namespace namewall::agent
