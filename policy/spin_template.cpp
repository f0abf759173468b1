#include "policy/spin_template.h"

#include "policy/spin_text.h"

namespace namewall {
namespace {

constexpr std::string_view kOpen = "{{", kClose = "}}";
constexpr std::size_t kMaxFilled = 4096;  // a host name has 253 characters at most

tl::unexpected<Error> fail_open() { return fail(ErrorKind::kInvalid, "a `{{` is not closed by `}}`"); }

}  // namespace

Result<bool> is_spin_template(std::string_view text) {
  const std::size_t open = text.find(kOpen);
  if (open == std::string_view::npos) return false;
  for (std::size_t at = open; at != std::string_view::npos;) {
    const std::size_t close = text.find(kClose, at + kOpen.size());
    if (close == std::string_view::npos) return fail_open();
    at = text.find(kOpen, close + kClose.size());
  }
  return true;
}

Result<std::string> fill_spin_template(std::string_view text, const SpinVariables& variables) {
  std::string filled;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t open = text.find(kOpen, at);
    filled += text.substr(at, open - at);
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find(kClose, open + kOpen.size());
    if (close == std::string_view::npos) return fail_open();
    const std::string_view inside = text.substr(open + kOpen.size(), close - open - kOpen.size());
    const auto variable = variables.find(trim_spin_text(inside));
    if (variable == variables.end()) return fail(ErrorKind::kNotFound, std::string(trim_spin_text(inside)));
    filled += variable->second;
    if (filled.size() > kMaxFilled) {
      return fail(ErrorKind::kInvalid, "with its variables it has more than " + std::to_string(kMaxFilled) + " bytes");
    }
    at = close + kClose.size();
  }
  return filled;
}

}  // namespace namewall
