// The policy loader over any bytes, as TOML and as JSON, policy and host policy. What loads without an error has a
// canonical form that loads again as the same policy.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "policy/answer_text.h"
#include "policy/host_loader.h"
#include "policy/policy_loader.h"

namespace {

void require(bool condition, const char* what, const std::string& shown) {
  if (condition) return;
  std::fprintf(stderr, "%s:\n%s\n", what, shown.c_str());
  std::abort();
}

// Positions lie within the text, and messages are fit for a terminal.
void check_diagnostics(const std::vector<namewall::Diagnostic>& diagnostics, std::string_view text) {
  for (const namewall::Diagnostic& diagnostic : diagnostics) {
    require(diagnostic.origin.line <= text.size() + 1, "a line behind the end", diagnostic.to_string());
    for (const char c : diagnostic.message) {
      require(c >= 0x20 && c < 0x7f, "an unprintable character in a message", diagnostic.to_string());
    }
  }
}

void check_policy(std::string_view text, namewall::Format format) {
  const auto loaded = namewall::load_policy(text, format, "fuzz");
  check_diagnostics(loaded.diagnostics, text);
  if (!loaded.ok()) return;
  const std::string toml = namewall::to_canonical_toml(loaded.value);
  const auto from_toml = namewall::load_policy(toml, namewall::Format::kToml, "canonical");
  require(from_toml.ok(), "the canonical TOML does not load", toml);
  require(namewall::to_canonical_toml(from_toml.value) == toml, "the canonical TOML changes", toml);
  const std::string json = namewall::to_canonical_json(loaded.value);
  const auto from_json = namewall::load_policy(json, namewall::Format::kJson, "canonical");
  require(from_json.ok(), "the canonical JSON does not load", json);
  require(namewall::to_canonical_toml(from_json.value) == toml, "JSON and TOML differ", json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const namewall::Format format : {namewall::Format::kToml, namewall::Format::kJson}) {
    check_policy(text, format);
    check_diagnostics(namewall::load_host_policy(text, format, "fuzz").diagnostics, text);
  }
  check_diagnostics(namewall::parse_answer_text(text, "fuzz").diagnostics, text);
  return 0;
}
