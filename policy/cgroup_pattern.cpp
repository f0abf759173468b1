#include "policy/cgroup_pattern.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "policy/escape.h"
#include "policy/label_glob.h"

namespace namewall {
namespace {

constexpr std::size_t kMaxPath = 4096;      // PATH_MAX
constexpr std::size_t kMaxComponent = 255;  // NAME_MAX

// The first component of `rest` ("/a/b"), which is taken off.
std::string_view take_component(std::string_view& rest) {
  rest.remove_prefix(1);
  const std::string_view component = rest.substr(0, rest.find('/'));
  rest.remove_prefix(component.size());
  return component;
}

// The components of "/" are none.
std::string_view components_of(std::string_view path) { return path == "/" ? std::string_view() : path; }

bool has_star(std::string_view text) { return text.find('*') != std::string_view::npos; }

// Whether some string matches both. No component of a path is empty: what only the empty string would match does not
// arise, for a component of stars alone matches every string.
bool components_can_meet(std::string_view a, std::string_view b) {
  if (!has_star(a)) return label_glob_matches(b, a);
  if (!has_star(b)) return label_glob_matches(a, b);
  // can_meet[j]: a's rest from i and b's rest from j have a common match; built from the ends.
  std::vector<bool> below(b.size() + 1);
  for (std::size_t i = a.size() + 1; i-- > 0;) {
    std::vector<bool> here(b.size() + 1);
    for (std::size_t j = b.size() + 1; j-- > 0;) {
      const bool a_ends = i == a.size();
      const bool b_ends = j == b.size();
      if (a_ends && b_ends) {
        here[j] = true;
      } else if (!a_ends && a[i] == '*') {
        here[j] = below[j] || (!b_ends && here[j + 1]);  // the star stands for nothing, or for b's next
      } else if (!b_ends && b[j] == '*') {
        here[j] = here[j + 1] || (!a_ends && below[j]);
      } else {
        here[j] = !a_ends && !b_ends && a[i] == b[j] && below[j + 1];
      }
    }
    below = std::move(here);
  }
  return below[0];
}

// How the components of `path` fit the first ones of `pattern`.
struct PrefixFit {
  bool fits = false;
  bool is_whole = false;  // the pattern has no more
};
PrefixFit fit_prefix(std::string_view pattern, std::string_view path) {
  pattern = components_of(pattern);
  path = components_of(path);
  while (!path.empty()) {
    if (pattern.empty()) return {};
    if (!label_glob_matches(take_component(pattern), take_component(path))) return {};
  }
  return {true, pattern.empty()};
}

tl::unexpected<Error> refuse(std::string_view text, const std::string& why) {
  return fail(ErrorKind::kInvalid, quote_for_display(text) + " " + why);
}

}  // namespace

Result<CgroupPattern> CgroupPattern::parse(std::string_view text) {
  if (!text.starts_with('/')) {
    return refuse(text,
                  "does not begin with `/`; accepted: a path or glob below the cgroup mount, as in \"/ci.slice/*\"");
  }
  if (text.size() > kMaxPath) return refuse(text, "has more than 4096 bytes");
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_control)) return refuse(text, "has a control character in it");
  CgroupPattern pattern;
  pattern.text_ = text;
  std::size_t fixed_length = 0;
  bool is_fixed = true;
  for (std::string_view rest = components_of(text); !rest.empty();) {
    const std::string_view component = take_component(rest);
    if (component.empty()) return refuse(text, "has an empty component; write each `/` once, and none at the end");
    if (component == "." || component == "..") {
      return refuse(text, "has the component `" + std::string(component) + "`; write the path without it");
    }
    if (component.size() > kMaxComponent) return refuse(text, "has a component of more than 255 bytes");
    is_fixed = is_fixed && !has_star(component);
    if (is_fixed) fixed_length += 1 + component.size();
    ++pattern.depth_;
  }
  pattern.fixed_part_ = fixed_length == 0 ? "/" : std::string(text.substr(0, fixed_length));
  return pattern;
}

bool CgroupPattern::matches(std::string_view path) const {
  const PrefixFit fit = fit_prefix(text_, path);
  return fit.fits && fit.is_whole;
}

bool CgroupPattern::leads_through(std::string_view path) const { return fit_prefix(text_, path).fits; }

bool CgroupPattern::is_template() const {
  return text_.ends_with("/*") && parent_cgroup(text_) == std::string_view(fixed_part_);
}

bool CgroupPattern::can_meet(const CgroupPattern& a, const CgroupPattern& b) {
  if (a.depth_ != b.depth_) return false;
  std::string_view a_rest = components_of(a.text_);
  std::string_view b_rest = components_of(b.text_);
  while (!a_rest.empty()) {
    if (!components_can_meet(take_component(a_rest), take_component(b_rest))) return false;
  }
  return true;
}

std::string_view parent_cgroup(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_below_cgroup(std::string_view path, std::string_view root) {
  if (root == "/") return path != "/";
  return path.size() > root.size() && path.starts_with(root) && path[root.size()] == '/';
}

}  // namespace namewall
