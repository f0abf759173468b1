// Folds what a policy's rules say of names into nodes for a longest-match lookup.
//
// Only what rules name becomes a node. own(N) is what exact rules say of N; own(S, one) and own(S, deep) what plain
// wildcards and the any-name rules say of names one label under S, and deeper. With P the parent of N:
//   exact N:        own(N) | own(P, one) | own(A, deep) for every proper suffix A of P | every glob that matches N
//   below S, [0]:   own(S, one)  | own(A, deep) for every proper suffix A of S
//   below S, [1]:   own(S, deep) | the same
// The root "" is a proper suffix of every other name. A below node also lists the globs that can match a name under it;
// exact nodes list none, because what matches one name is known when folding.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/policy_image.h"

namespace namewall {

class NameFold {
 public:
  // `rule` is for messages and outlives the fold.
  void add_pattern(const NamePattern& pattern, const NameMasks& masks, const Rule& rule);
  void add_every_name(const NameMasks& masks);

  // Fills `names` (sorted by name, exact before below) and `globs` of the image. kLimit, naming the rule, when the
  // policy has more globs than an index can tell apart.
  Result<void> fold_into(PolicyImage& image) const;
  // Of a folded image: the rule that is one too many for the kernel, as a clause; "" where no node has more than
  // kMaxGlobsPerNode globs.
  std::string describe_crowd(const PolicyImage& image) const;

 private:
  struct Own {
    bool is_exact = false, is_below = false;
    NameMasks exact;
    std::array<NameMasks, 2> below;
    std::vector<std::size_t> globs;  // whose literal suffix this is
  };
  struct OwnGlob {  // `rule`: the first that has the pattern
    Glob glob;
    const Rule* rule;
  };
  Own& own(std::string_view name) { return own_[std::string(name)]; }
  const Own* find(const std::string& name) const;
  NameNode fold_exact(const std::string& name, const Own& own) const;
  NameNode fold_below(const std::string& name, const Own& own) const;

  std::unordered_map<std::string, Own> own_;
  std::vector<OwnGlob> globs_;
  std::unordered_map<std::string, std::size_t> glob_by_text_;
};

}  // namespace namewall
