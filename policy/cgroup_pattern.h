// Which cgroups a policy's `cgroup` names: an exact path ("/ci.slice/build.service") or a glob, where "*" stands for
// any characters within one path component, at least one where it is the whole component ("/ci.slice/*",
// "/user.slice/user-*.slice/*").
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "policy/result.h"

namespace namewall {

class CgroupPattern {
 public:
  // Absolute, no empty, "." or ".." component, no control characters; at most 4096 bytes, a component at
  // most 255; "/" alone is exact. Each error a sentence that says what is accepted.
  static Result<CgroupPattern> parse(std::string_view text);

  bool matches(std::string_view path) const;
  // Whether `path` matches, or is above a path that does: who looks for matches has to look into it.
  bool leads_through(std::string_view path) const;
  bool is_exact() const { return fixed_part_ == text_; }
  // Its only "*" is the whole last component: children of one fixed parent, which a template can hold.
  bool is_template() const;
  // The longest prefix of whole components without "*": "/ci.slice" of "/ci.slice/*/job", "/" of "/*"; of an exact
  // path, itself.
  const std::string& fixed_part() const { return fixed_part_; }
  std::size_t depth() const { return depth_; }  // number of components; "/" has 0
  const std::string& text() const { return text_; }

  // Whether some path matches both. Exact, also for components with several "*".
  static bool can_meet(const CgroupPattern& a, const CgroupPattern& b);

  friend bool operator==(const CgroupPattern&, const CgroupPattern&) = default;

 private:
  std::string text_;
  std::string fixed_part_;
  std::size_t depth_ = 0;
};

// "/a" of "/a/b", "/" of "/a". "/" is its own parent.
std::string_view parent_cgroup(std::string_view path);
// Whether `path` is strictly below `root`.
bool is_below_cgroup(std::string_view path, std::string_view root);

}  // namespace namewall
