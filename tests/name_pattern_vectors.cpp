#include "tests/name_pattern_vectors.h"

#include <optional>
#include <string_view>

#include "policy/cilium_pattern.h"
#include "policy/name_pattern.h"
#include "policy/npep133_pattern.h"

namespace namewall {
namespace {

using nlohmann::json;

// What a dialect says; nullopt where the dialect has no such field.
struct Dialect {
  std::string_view name;
  bool (*matches)(std::string_view pattern, std::string_view name);
  std::optional<bool> (*is_valid)(std::string_view field, std::string_view pattern);
};

// "matchName+matchPattern": both fields of one selector, the texts joined by " + ".
std::optional<bool> is_valid_in_cilium(std::string_view field, std::string_view pattern) {
  if (field == "matchName") return CiliumPattern::selector(pattern, "").has_value();
  if (field == "matchPattern") return CiliumPattern::selector("", pattern).has_value();
  constexpr std::string_view kJoin = " + ";
  const std::size_t join = pattern.find(kJoin);
  if (field != "matchName+matchPattern" || join == std::string_view::npos) return std::nullopt;
  return CiliumPattern::selector(pattern.substr(0, join), pattern.substr(join + kJoin.size())).has_value();
}

// A pattern that is not valid matches nothing, and what is no name is matched by nothing.
constexpr Dialect kDialects[] = {
    {"cilium",
     [](std::string_view pattern, std::string_view name) {
       const auto parsed = CiliumPattern::match_pattern(pattern);
       return parsed && parsed->matches(name);
     },
     is_valid_in_cilium},
    {"npep133",
     [](std::string_view pattern, std::string_view name) {
       const auto parsed = Npep133Pattern::parse(pattern);
       return parsed && parsed->matches(name);
     },
     [](std::string_view, std::string_view pattern) -> std::optional<bool> {
       return Npep133Pattern::parse(pattern).has_value();
     }},
    {"native",
     [](std::string_view pattern, std::string_view name) {
       const auto parsed = NamePattern::parse(pattern);
       const auto parsed_name = DomainName::parse(name);
       return parsed && parsed_name && parsed->matches(*parsed_name);
     },
     [](std::string_view, std::string_view pattern) -> std::optional<bool> {
       return NamePattern::parse(pattern).has_value();
     }},
};

const Dialect* find_dialect(const json& entry) {
  for (const Dialect& dialect : kDialects) {
    if (entry.contains("dialect") && entry["dialect"] == dialect.name) return &dialect;
  }
  return nullptr;
}

bool has_string(const json& entry, const char* key) { return entry.contains(key) && entry[key].is_string(); }
bool has_bool(const json& entry, const char* key) { return entry.contains(key) && entry[key].is_boolean(); }

tl::unexpected<Error> unreadable(const char* what, const json& entry) {
  return fail(ErrorKind::kInvalid, std::string(what) + ": " + entry.dump());
}

// One entry of either kind: what it expects and what this build says.
struct Answer {
  bool expected = false;
  bool found = false;
};

Result<Answer> answer_match(const json& entry) {
  const Dialect* const dialect = find_dialect(entry);
  if (dialect == nullptr) return unreadable("unknown dialect", entry);
  if (!has_string(entry, "pattern") || !has_string(entry, "name") || !has_bool(entry, "match")) {
    return unreadable("a match entry needs pattern, name and match", entry);
  }
  return Answer{entry["match"].get<bool>(), dialect->matches(entry["pattern"].get_ref<const std::string&>(),
                                                             entry["name"].get_ref<const std::string&>())};
}

Result<Answer> answer_validity(const json& entry) {
  const Dialect* const dialect = find_dialect(entry);
  if (dialect == nullptr) return unreadable("unknown dialect", entry);
  if (!has_string(entry, "pattern") || !has_bool(entry, "valid")) {
    return unreadable("a validity entry needs pattern and valid", entry);
  }
  const auto found = dialect->is_valid(has_string(entry, "field") ? entry["field"].get_ref<const std::string&>() : "",
                                       entry["pattern"].get_ref<const std::string&>());
  if (!found) return unreadable("unknown field", entry);
  return Answer{entry["valid"].get<bool>(), *found};
}

Result<void> run_entries(const json& file, const char* kind, Result<Answer> (*answer)(const json&),
                         VectorOutcome& outcome) {
  if (!file.contains(kind)) return {};
  if (!file[kind].is_array()) return fail(ErrorKind::kInvalid, std::string("`") + kind + "` is not a list");
  for (const json& entry : file[kind]) {
    if (!entry.is_object()) return unreadable("an entry is not an object", entry);
    const auto said = answer(entry);
    if (!said) return tl::unexpected(said.error());
    const auto text = [](bool value) { return value ? "true" : "false"; };
    outcome.record(said->found == said->expected, std::string(kind) + ": expected " + text(said->expected) + ", got " +
                                                      text(said->found) + ": " + entry.dump());
  }
  return {};
}

}  // namespace

bool are_name_pattern_vectors(const json& file) {
  return file.is_object() && (file.contains("match") || file.contains("validity"));
}

Result<VectorOutcome> run_name_pattern_vectors(const json& file) {
  VectorOutcome outcome;
  if (const auto done = run_entries(file, "match", answer_match, outcome); !done) return tl::unexpected(done.error());
  if (const auto done = run_entries(file, "validity", answer_validity, outcome); !done) {
    return tl::unexpected(done.error());
  }
  return outcome;
}

}  // namespace namewall
