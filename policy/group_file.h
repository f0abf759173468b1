// Groups of endpoints, "@npm" in an `allow` or `deny` list: a file each of those that are shipped, the operator's own
// in `[groups]` of host.toml. An entry of a group may name another one.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/config_reader.h"
#include "policy/loaded.h"
#include "policy/policy.h"

namespace namewall {

inline constexpr std::size_t kMaxGroups = 256;
inline constexpr std::size_t kMaxGroupRules = 10'000;  // of one group, with all that it names
inline constexpr unsigned kMaxGroupDepth = 8;          // groups inside each other

// A group as it is written: an endpoint, or "@" and the name of a group, in each entry.
struct GroupText {
  struct Entry {
    std::string text;
    Origin origin;
  };
  std::string name;
  std::string version;
  std::vector<Entry> entries;
  Origin origin;
};

// A shipped file: name, version, description, allow.
Loaded<GroupText> load_group_file(std::string_view text, Format format, std::string_view file_name);
// Whether a text is one of those rather than a policy: it has a `version`.
bool is_group_file(std::string_view text, Format format);

// `[groups]`: mine = ["https://a.example", "@npm"].
std::vector<GroupText> read_groups(ConfigReader& config, const ConfigNode& node);

// Puts the rules of named groups in the place of their names. `known`: groups that are complete, of which one counts
// where no text has its name. Diagnostics: no endpoint, no such group, a cycle, one of the bounds above. A group with a
// mistake has the rules that are right.
std::vector<Group> resolve_groups(const std::vector<GroupText>& texts, std::span<const Group> known,
                                  std::vector<Diagnostic>& diagnostics);

const Group* find_group(std::span<const Group> groups, std::string_view name);
// "`@npn` is no group; did you mean `@npm`? The groups are @npm, @pypi". `name` without the "@".
std::string describe_unknown_group(std::string_view name, std::span<const Group> groups);

}  // namespace namewall
