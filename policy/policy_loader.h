// Reads policies: TOML, or the same structure as JSON. All mistakes of a file are reported at once, each with its
// position, what was found, what is accepted and, for a near miss, a suggestion. Nothing is applied from a file with
// an error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace namewall {

struct Diagnostic {
  enum class Severity { kError, kWarning };
  Severity severity = Severity::kError;
  Origin origin;
  std::string message;
  // "builder.toml:4:12: error: unknown key `alow`; did you mean `allow`?"
  std::string to_string() const;
};

template <typename T>
struct Loaded {
  T value;                              // meaningful only when ok()
  std::vector<Diagnostic> diagnostics;  // in file order
  bool ok() const;                      // no error among the diagnostics
};

enum class Format { kToml, kJson };
Format format_of(std::string_view file_name, std::string_view text);  // by ".json", else by a leading '{', else TOML

// `file_name` is used in messages only.
Loaded<Policy> load_policy(std::string_view text, Format format, std::string_view file_name);
Loaded<HostPolicy> load_host_policy(std::string_view text, Format format, std::string_view file_name);
// --allow / --deny arguments: origin "--allow".
Loaded<Policy> load_policy_arguments(const std::vector<std::string>& allow, const std::vector<std::string>& deny);

// The canonical TOML form that `check` prints and `run --save` writes; loading it again gives an equal policy.
std::string to_canonical_toml(const Policy& policy);
// The same as JSON.
std::string to_canonical_json(const Policy& policy);

}  // namespace namewall
