// Changes of one set of a table, timed: as the product makes them, and by libnftables in a namespace of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/nft/learned_elements.h"
#include "bench/nft/text_commands.h"
#include "nft/transaction.h"
#include "policy/result.h"

namespace namewall::bench {

struct Timed {
  std::uint64_t nanoseconds = 0;
  bool preempted = false;
};

class ElementChanges {
 public:
  // `text_netns`: the namespace that libnftables gets, a path. `cgroup`: what all elements are of.
  static Result<ElementChanges> open(const std::string& text_netns, const std::string& cgroup);

  // Both sets get that many elements; more bytes of slab, of both together.
  Result<std::int64_t> fill(std::uint32_t elements);
  struct Round {
    Timed own;
    std::optional<Timed> text;
  };
  // One transaction of `count` elements: built, sent and acknowledged; and the same as one text command. Before and
  // after both have as many as filled.
  Result<Round> change(Change change, std::uint32_t count);

 private:
  ElementChanges(nft::NftSocket own, nft::NftSocket beside, nft::UpdateWay way)
      : own_(std::move(own)), beside_(std::move(beside)), way_(way) {}
  Result<void> add(nft::NftSocket& socket, std::uint32_t first, std::uint32_t count);
  Result<void> remove(nft::NftSocket& socket, std::uint32_t first, std::uint32_t count);
  Result<Timed> time_own(Change change, std::uint32_t first, std::uint32_t count);
  Result<Timed> time_text(Change change, std::uint32_t first, std::uint32_t count);

  nft::NftSocket own_, beside_;  // the second: in libnftables' namespace, to fill its table
  nft::UpdateWay way_;
  std::optional<TextCommands> text_;
  std::string text_cgroup_;  // below /sys/fs/cgroup, as libnftables wants it
  std::uint64_t cgroup_id_ = 0;
  std::uint32_t filled_ = 0;
  std::uint32_t round_ = 0;
};

}  // namespace namewall::bench
