#include "policy/answer_chain.h"

#include <algorithm>
#include <optional>

namespace namewall {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same_name(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

struct Mark {
  bool reached = false;
  bool expanded = false;
  std::uint32_t path_ttl = 0;
};

}  // namespace

std::vector<AddressRecord> follow_chain(const std::string& question_name, const std::vector<ChainRecord>& records) {
  std::vector<Mark> marks(records.size());
  const auto reach = [&](const std::string& name, std::uint32_t path_ttl) {
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (marks[i].reached || !same_name(records[i].owner, name)) continue;
      marks[i].reached = true;
      marks[i].path_ttl = std::min(path_ttl, records[i].ttl);
    }
  };
  const auto next_alias = [&]() -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (marks[i].reached && !marks[i].expanded && records[i].type == kTypeCname) return i;
    }
    return std::nullopt;
  };

  reach(question_name, UINT32_MAX);
  for (std::size_t aliases = 0; aliases < kMaxAliases; ++aliases) {
    const std::optional<std::size_t> alias = next_alias();
    if (!alias) break;
    marks[*alias].expanded = true;
    reach(records[*alias].target, marks[*alias].path_ttl);
  }

  std::vector<AddressRecord> addresses;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!marks[i].reached || records[i].type == kTypeCname) continue;
    addresses.push_back({records[i].address, marks[i].path_ttl, records[i].type == kTypeAaaa});
  }
  return addresses;
}

}  // namespace namewall
