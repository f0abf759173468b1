#include "policy/diagnostic.h"

#include <algorithm>
#include <tuple>

namespace namewall {

std::string Diagnostic::to_string() const {
  return origin.to_string() + ": " + (severity == Severity::kError ? "error: " : "warning: ") + message;
}

bool has_error(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Diagnostic::Severity::kError; });
}

std::vector<Diagnostic> in_file_order(std::vector<Diagnostic> diagnostics) {
  std::stable_sort(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.origin.line, a.origin.column) < std::tie(b.origin.line, b.origin.column);
  });
  if (diagnostics.size() <= kMaxDiagnostics) return diagnostics;
  Diagnostic rest;
  rest.severity = has_error(diagnostics) ? Diagnostic::Severity::kError : Diagnostic::Severity::kWarning;
  rest.origin.file = diagnostics.front().origin.file;
  rest.message = std::to_string(diagnostics.size() - kMaxDiagnostics + 1) + " more are not shown";
  diagnostics.erase(diagnostics.begin() + (kMaxDiagnostics - 1), diagnostics.end());
  diagnostics.push_back(std::move(rest));
  return diagnostics;
}

}  // namespace namewall
