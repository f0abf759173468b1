// Any bytes as a Spin manifest, and each line of them as an entry and as a target. What becomes a rule is an endpoint
// that reads back, and messages are fit for a terminal.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "policy/spin_endpoint.h"
#include "policy/spin_manifest.h"
#include "policy/spin_oddities.h"
#include "policy/spin_rules.h"

namespace {

void require(bool condition, const char* what, const std::string& shown) {
  if (condition) return;
  std::fprintf(stderr, "%s:\n%s\n", what, shown.c_str());
  std::abort();
}

void require_printable(const std::string& sentence) {
  for (const char c : sentence) require(c >= 0x20 && c < 0x7f, "an unprintable character", sentence);
}

void check_entry(std::string_view text) {
  const auto entry = namewall::SpinEntry::parse(text);
  if (!entry) return require_printable(entry.error().what);
  for (const std::string& sentence : namewall::find_spin_oddities(text, *entry)) require_printable(sentence);
  for (const bool strict_sockets : {false, true}) {
    const namewall::SpinEndpoint endpoint = namewall::convert_spin_entry(*entry, strict_sockets);
    for (const std::string& remark : endpoint.remarks) require_printable(remark);
    require(!endpoint.text.empty() || !endpoint.remarks.empty(), "nothing, and no reason", std::string(text));
    if (endpoint.text.empty()) continue;
    require(namewall::parse_endpoint(endpoint.text, namewall::EndpointUse::kAllow).has_value(), "no endpoint",
            endpoint.text);
  }
  if (const auto target = namewall::parse_spin_target(text, "https")) (void)entry->allows(*target);
}

void check_manifest(std::string_view text) {
  for (const std::string& component : namewall::read_spin_manifest(text, "fuzz").value.component_ids()) {
    const auto rules = namewall::read_spin_rules(text, {"fuzz", component});
    for (const namewall::Diagnostic& diagnostic : rules.diagnostics) require_printable(diagnostic.message);
  }
  for (const namewall::Diagnostic& diagnostic : namewall::read_spin_rules(text, {"fuzz"}).diagnostics) {
    require_printable(diagnostic.message);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_manifest(text);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    check_entry(text.substr(at, end - at));
    at = end + 1;
  }
  return 0;
}
