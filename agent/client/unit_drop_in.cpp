#include "agent/client/unit_drop_in.h"

#include <array>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::string_view kService = ".service";
constexpr std::size_t kMaxUnitName = 255;  // systemd.unit(5)
constexpr std::string_view kOtherTypes[] = {".socket", ".target", ".timer", ".slice",  ".scope",
                                            ".mount",  ".swap",   ".path",  ".device", ".automount"};
constexpr std::string_view kUnitNameCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\@";
constexpr std::string_view kPolicyComment = "# policy: ";

}  // namespace

Result<std::string> service_name(std::string_view given) {
  const std::string shown = quote_for_display(given);
  if (given.find('/') != std::string_view::npos) {
    return fail(ErrorKind::kInvalid, shown + " is a path, not the name of a unit such as `builder.service`");
  }
  for (const std::string_view type : kOtherTypes) {
    if (given.ends_with(type)) {
      return fail(ErrorKind::kInvalid, shown + " is no service: only a service can be armed before its first process");
    }
  }
  constexpr std::array<char, 16> kHex = {'0', '1', '2', '3', '4', '5', '6', '7',
                                         '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
  std::string name;
  for (const char character : given) {
    const auto byte = static_cast<unsigned char>(character);
    if (kUnitNameCharacters.find(character) != std::string_view::npos) {
      name += character;
    } else {
      name += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  if (!name.ends_with(kService)) name += kService;
  if (name.size() == kService.size() || name.starts_with('.') || name.starts_with('@')) {
    return fail(ErrorKind::kInvalid, shown + " is not the name of a unit");
  }
  if (name.size() > kMaxUnitName) return fail(ErrorKind::kInvalid, shown + " is longer than a unit's name can be");
  return name;
}

std::string quote_for_unit_file(std::string_view argument) {
  std::string quoted = "\"";
  for (const char character : argument) {
    switch (character) {
      case '%':
      case '$':
        quoted += character;
        quoted += character;
        break;
      case '"':
      case '\\':
        quoted += '\\';
        quoted += character;
        break;
      case '\n':
        quoted += "\\n";
        break;
      default:
        quoted += character;
    }
  }
  return quoted + "\"";
}

std::string drop_in_text(const std::string& program, const std::string& policy_file, bool allow_partial) {
  return "# Written by `namewall unit enable`; `namewall unit disable` removes it.\n" + std::string(kPolicyComment) +
         escape_for_display(policy_file) +
         "\n[Service]\n"
         "# In the service's own cgroup, before its first process, at every start. A failure stops the start.\n"
         "ExecStartPre=+" +
         program + " arm --self --policy " + quote_for_unit_file(policy_file) +
         (allow_partial ? " --allow-partial" : "") + "\n";
}

std::string policy_of_drop_in(std::string_view text) {
  const std::size_t begin = text.find(kPolicyComment);
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin + kPolicyComment.size());
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace namewall::agent
