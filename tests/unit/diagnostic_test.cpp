#include "policy/diagnostic.h"

#include <gtest/gtest.h>

namespace namewall {
namespace {

TEST(Diagnostic, PrintsFileLineAndColumn) {
  Diagnostic diagnostic{Diagnostic::Severity::kError, {"builder.toml", 4, 12}, "unknown key `alow`"};
  EXPECT_EQ(diagnostic.to_string(), "builder.toml:4:12: error: unknown key `alow`");
  diagnostic = {Diagnostic::Severity::kWarning, {"--allow", 0, 0}, "twice"};
  EXPECT_EQ(diagnostic.to_string(), "--allow: warning: twice");
}

TEST(Diagnostic, IsShownInFileOrder) {
  std::vector<Diagnostic> diagnostics;
  for (const auto& [line, column] : {std::pair{3u, 1u}, {1u, 9u}, {1u, 2u}, {2u, 5u}}) {
    diagnostics.push_back({Diagnostic::Severity::kWarning, {"f", line, column}, ""});
  }
  std::string order;
  for (const Diagnostic& diagnostic : in_file_order(diagnostics)) order += diagnostic.origin.to_string() + " ";
  EXPECT_EQ(order, "f:1:2 f:1:9 f:2:5 f:3:1 ");
}

TEST(Diagnostic, KeepsThatThereWasAnErrorWhenTheListIsCut) {
  std::vector<Diagnostic> diagnostics(2 * kMaxDiagnostics, {Diagnostic::Severity::kWarning, {"f", 1, 1}, "w"});
  diagnostics.push_back({Diagnostic::Severity::kError, {"f", 2, 1}, "e"});
  const std::vector<Diagnostic> shown = in_file_order(diagnostics);
  ASSERT_EQ(shown.size(), kMaxDiagnostics);
  EXPECT_TRUE(has_error(shown));
  EXPECT_EQ(shown.back().message, "1002 more are not shown");
}

}  // namespace
}  // namespace namewall
