// Where our name patterns differ from Cilium's, by a table; everywhere else they agree, on every recorded fact.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "policy/name_pattern.h"

namespace namewall {
namespace {

using nlohmann::json;

struct Fact {
  std::string field;  // of a validity entry; "" of a match entry
  std::string pattern;
  std::string name;     // of a match entry
  bool cilium = false;  // matches, or is valid
};

std::vector<Fact> recorded_facts() {
  std::ifstream stream(NAMEWALL_SOURCE_DIR "/tests/vectors/name_patterns.json");
  std::ostringstream text;
  text << stream.rdbuf();
  const json file = json::parse(text.str());
  std::vector<Fact> facts;
  for (const json& entry : file["match"]) {
    if (entry["dialect"] == "cilium") facts.push_back({"", entry["pattern"], entry["name"], entry["match"]});
  }
  for (const json& entry : file["validity"]) {
    if (entry["dialect"] == "cilium") facts.push_back({entry["field"], entry["pattern"], "", entry["valid"]});
  }
  return facts;
}

bool native_says(const Fact& fact) {
  const auto pattern = NamePattern::parse(fact.pattern);
  if (!fact.field.empty()) return pattern.has_value();
  const auto name = DomainName::parse(fact.name);
  return pattern && name && pattern->matches(*name);
}

std::string without_trailing_dot(std::string text) {
  if (text.ends_with('.')) text.pop_back();
  return text;
}

bool is_match(const Fact& fact) { return fact.field.empty(); }

struct Difference {
  const char* rule;
  bool (*applies)(const Fact& fact);
  bool native;  // what native says where the rule applies
};

constexpr Difference kDifferences[] = {
    {"a lone wildcard is refused: every host is the endpoint's own form",
     [](const Fact& fact) {
       const std::string pattern = without_trailing_dot(fact.pattern);
       return !pattern.empty() && pattern.find_first_not_of('*') == std::string::npos;
     },
     false},
    {"two stars or more stand only as `**` before the first dot",
     [](const Fact& fact) {
       const std::size_t run = fact.pattern.find("**");
       return run != std::string::npos && !(run == 0 && fact.pattern.starts_with("**."));
     },
     false},
    {"a whole-label star is at least one character, and a name has no empty label",
     [](const Fact& fact) { return is_match(fact) && !DomainName::parse(fact.name); }, false},
    {"a label has at most 63 characters, a name 251",
     [](const Fact& fact) {
       const auto labels = split_labels(fact.pattern);
       return !is_match(fact) && fact.pattern.size() > kMaxNameLength &&
              std::any_of(labels.begin(), labels.end(), [](auto label) { return label.size() > kMaxLabelLength; });
     },
     false},
    {"other scripts are converted by IDNA",
     [](const Fact& fact) {
       return !is_match(fact) && std::any_of(fact.pattern.begin(), fact.pattern.end(),
                                             [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
     },
     true},
    {"a name and a pattern are written in the same field",
     [](const Fact& fact) { return fact.field == "matchName" && fact.pattern.find('*') != std::string::npos; }, true},
};

TEST(NativeAndCilium, DifferByTheTableAndAgreeEverywhereElse) {
  std::set<const char*> seen;
  std::size_t agreed = 0;
  for (const Fact& fact : recorded_facts()) {
    bool expected = fact.cilium;
    for (const Difference& difference : kDifferences) {
      if (!difference.applies(fact)) continue;
      expected = difference.native;
      if (difference.native != fact.cilium) seen.insert(difference.rule);
      break;
    }
    EXPECT_EQ(native_says(fact), expected) << fact.field << " `" << fact.pattern << "` `" << fact.name << "`";
    if (expected == fact.cilium) ++agreed;
  }
  for (const Difference& difference : kDifferences) {
    EXPECT_TRUE(seen.contains(difference.rule)) << "no recorded fact shows: " << difference.rule;
  }
  EXPECT_GT(agreed, 60U);
}

}  // namespace
}  // namespace namewall
