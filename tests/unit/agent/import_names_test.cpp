#include "agent/import_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;

std::string text_of(const Result<NamePattern>& pattern) { return pattern ? pattern->text() : pattern.error().what; }

TEST(ImportNames, TurnsCiliumPatternsIntoNativeOnes) {
  const std::pair<const char*, const char*> cases[] = {
      {"Example.COM.", "example.com"},
      {"*.example.com", "*.example.com"},
      {"**.example.com", "**.example.com"},
      {"***.example.com", "**.example.com"},
      {"*example.com", "*example.com"},
      {"**example.com", "*example.com"},
      {"a.**.example.com", "a.*.example.com"},
      {"a**b*.example.com", "a*b*.example.com"},
      {"**.**.example.com", "**.*.example.com"},
      {"*.*", "*.*"},
      {"_dmarc.example.com", "_dmarc.example.com"},
  };
  for (const auto& [cilium, native] : cases) EXPECT_EQ(text_of(native_of_cilium_pattern(cilium)), native) << cilium;
}

TEST(ImportNames, RefusesWhatWouldMeanSomethingElse) {
  for (const char* stars : {"*", "**", "*.", "**."}) {
    EXPECT_THAT(text_of(native_of_cilium_pattern(stars)), HasSubstr("every address as well")) << stars;
  }
  EXPECT_THAT(text_of(native_of_cilium_name("10.0.0.1")), HasSubstr("is an address"));
  EXPECT_THAT(text_of(native_of_cilium_name("localhost")), HasSubstr("loopback"));
  EXPECT_THAT(text_of(native_of_cilium_name("a..b")), HasSubstr("empty"));
  EXPECT_THAT(text_of(native_of_cilium_name("*.example.com")), HasSubstr("matchName"));
  EXPECT_THAT(text_of(native_of_cilium_pattern("b\xc3\xbc"
                                               "cher.example")),
              HasSubstr("ASCII"));
  EXPECT_THAT(text_of(native_of_npep133("example")), HasSubstr("two labels or more"));
  EXPECT_THAT(text_of(native_of_npep133("a.*.example.com")), HasSubstr("two labels or more"));
  EXPECT_THAT(text_of(native_of_npep133("10.0.0.1")), HasSubstr("is an address"));
}

// Recorded facts of the two systems: what comes out matches the same names, or nothing comes out.
TEST(ImportNames, MatchesTheSameNamesAsTheSystemsThatWereRecorded) {
  std::ifstream stream(NAMEWALL_SOURCE_DIR "/tests/vectors/name_patterns.json");
  const nlohmann::json file = nlohmann::json::parse(stream);
  std::size_t compared = 0;
  for (const auto& fact : file["match"]) {
    const std::string dialect = fact["dialect"];
    const std::string written = fact["pattern"];
    if (dialect != "cilium" && dialect != "npep133") continue;
    const auto native = dialect == "cilium" ? native_of_cilium_pattern(written) : native_of_npep133(written);
    const auto name = DomainName::parse(std::string(fact["name"]));
    if (!native || !name || name->text().empty()) continue;
    EXPECT_EQ(native->matches(*name), fact["match"].get<bool>()) << dialect << " " << written << " " << name->text();
    ++compared;
  }
  EXPECT_GT(compared, 60u);
}

}  // namespace
}  // namespace namewall::agent
