// Which cgroups a policy's `cgroup` names: an exact path ("/ci.slice/build.service") or a glob, where "*" stands for any
// characters within one path component, at least one where it is the whole component ("/ci.slice/*",
// "/user.slice/user-*.slice/*").
#pragma once

#include <string>
#include <string_view>

#include "policy/result.h"

namespace namewall {

class CgroupPattern {
 public:
  // Absolute, no empty, "." or ".." component, at most 4096 bytes; "/" alone is exact. Each error a sentence.
  static Result<CgroupPattern> parse(std::string_view text);

  bool matches(std::string_view path) const;
  bool is_exact() const;
  // Its only "*" is the whole last component: children of one fixed parent, which a template can hold.
  bool is_template() const;
  // The longest prefix of whole components without "*": "/ci.slice" of "/ci.slice/*/job"; of an exact path, itself.
  const std::string& fixed_part() const;
  std::size_t depth() const;  // number of components; "/" has 0
  const std::string& text() const { return text_; }

  // Whether some path matches both.
  static bool can_meet(const CgroupPattern& a, const CgroupPattern& b);

  friend bool operator==(const CgroupPattern&, const CgroupPattern&) = default;

 private:
  std::string text_;
  std::string fixed_part_;
  std::size_t depth_ = 0;
};

}  // namespace namewall
