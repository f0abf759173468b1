// What is wrong with a policy file, and where. Strings from the file are escaped when they enter a message.
#pragma once

#include <string>
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

bool has_error(const std::vector<Diagnostic>& diagnostics);

inline constexpr std::size_t kMaxDiagnostics = 1000;

// In file order, and at most kMaxDiagnostics: the last then says how many were left out, and is an error if one was.
std::vector<Diagnostic> in_file_order(std::vector<Diagnostic> diagnostics);

}  // namespace namewall
