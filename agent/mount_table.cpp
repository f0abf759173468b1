#include "agent/mount_table.h"

namespace namewall::agent {
namespace {

// Space, tab, newline and backslash are written as \040, \011, \012, \134.
std::string resolve_octal(std::string_view field) {
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const auto is_digit = [&](std::size_t at) { return field[at] >= '0' && field[at] <= '7'; };
    if (field[i] == '\\' && i + 3 < field.size() && is_digit(i + 1) && is_digit(i + 2) && is_digit(i + 3)) {
      text += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
      i += 3;
    } else {
      text += field[i];
    }
  }
  return text;
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    const std::size_t end = line.find(' ');
    if (end != 0) fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) break;
    line.remove_prefix(end + 1);
  }
  return fields;
}

}  // namespace

std::vector<Mount> parse_mountinfo(std::string_view text) {
  // id parent major:minor ROOT MOUNT_POINT options [optional fields...] - FS_TYPE source super_options
  constexpr std::size_t kRoot = 3;
  constexpr std::size_t kMountPoint = 4;
  constexpr std::size_t kFirstOptional = 6;
  std::vector<Mount> mounts;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::vector<std::string_view> fields = split(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    std::size_t separator = kFirstOptional;
    while (separator < fields.size() && fields[separator] != "-") ++separator;
    if (separator + 1 >= fields.size()) continue;
    mounts.push_back(
        {resolve_octal(fields[kRoot]), resolve_octal(fields[kMountPoint]), resolve_octal(fields[separator + 1])});
  }
  return mounts;
}

}  // namespace namewall::agent
