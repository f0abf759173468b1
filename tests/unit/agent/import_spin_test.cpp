#include "agent/import_spin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kShopManifest = R"(spin_manifest_version = 2
[application]
name = "shop"
[variables]
host = { default = "h.example" }
[component.api]
allowed_outbound_hosts = [ "https://{{ host }}", "http://*.cdn.example:1..3", "http://self", "tcp://10.0.0.0/8:5" ]
[component.odd]
allowed_outbound_hosts = [ "http://0x7f.1", "HTTP://x:80", "http://self/" ]
)";

ImportInput shop() { return {kShopManifest, "spin.toml"}; }

TEST(ImportSpin, PrintsAPolicyThatLoadsWithTheSameRules) {
  const ImportedPolicy policy = import_spin(shop(), {.component = "api"});
  ASSERT_TRUE(policy.ok());
  const std::string text = to_toml(policy);
  const auto loaded = load_policy(text, Format::kToml, "p.toml");
  ASSERT_TRUE(loaded.ok()) << text;
  EXPECT_EQ(loaded.value.name, "shop-api");
  EXPECT_THAT(loaded.value.allow, SizeIs(3));
  EXPECT_THAT(text, HasSubstr("\"tcp://**.cdn.example:1-2\",  # \"http://*.cdn.example:1..3\", spin.toml:7:50"));
  EXPECT_THAT(text, HasSubstr("Spin leaves the end of a range out: 1..3 is 1-2"));
  EXPECT_THAT(text, HasSubstr("Spin answers requests to the application itself"));
}

TEST(ImportSpin, RefusesOdditiesWhereItIsStrict) {
  EXPECT_TRUE(import_spin(shop(), {.component = "odd"}).ok());
  EXPECT_THAT(import_spin(shop(), {.component = "odd", .strict = true}).refused, SizeIs(3));
  EXPECT_TRUE(import_spin(shop(), {.component = "api", .strict = true}).ok());
  const ImportInput old{"spin_version = '1'\n[[component]]\nid = 'a'\n", "old.toml"};
  EXPECT_THAT(import_spin(old, {}).allow, SizeIs(3));
  EXPECT_THAT(import_spin(old, {}).notes, SizeIs(3));
  EXPECT_THAT(import_spin(old, {.strict = true}).refused, SizeIs(3));
}

TEST(ImportSpin, TellsTheManifestsMistakes) {
  const ImportedPolicy policy = import_spin(shop(), {});
  EXPECT_FALSE(policy.ok());
  EXPECT_THAT(to_text_lines(policy.refused, "error"), HasSubstr("spin.toml:1:1: error: the manifest has several"));
}

std::string verdicts(const std::string& target, bool strict_sockets = false) {
  const auto answer = judge_spin_target(shop(), {.component = "api", .strict_sockets = strict_sockets}, target);
  if (!answer) return answer.error().message();
  const auto word = [](const SpinTargetVerdict& verdict) { return verdict.allowed ? "yes" : "no"; };
  return std::string("Spin ") + word(answer->spin) + ", native " + word(answer->native);
}

TEST(ImportSpin, SaysWhatSpinAndThePolicySayOfATarget) {
  EXPECT_EQ(verdicts("https://h.example/x"), "Spin yes, native yes");
  EXPECT_EQ(verdicts("h.example"), "Spin yes, native yes");
  EXPECT_EQ(verdicts("https://h.example."), "Spin no, native yes");
  EXPECT_EQ(verdicts("http://a.b.cdn.example:2"), "Spin yes, native yes");
  EXPECT_EQ(verdicts("http://a.b.cdn.example:3"), "Spin no, native no");
  EXPECT_EQ(verdicts("self"), "Spin yes, native no");
  EXPECT_EQ(verdicts("tcp://10.1.2.3:5"), "Spin yes, native yes");
  EXPECT_EQ(verdicts("udp://10.1.2.3:5"), "Spin no, native no");
  EXPECT_EQ(verdicts("https://h.example", true), "Spin yes, native no");
  EXPECT_THAT(verdicts("["), HasSubstr("is no URL with a host"));
  const auto answer = judge_spin_target(shop(), {.component = "api"}, "https://h.example");
  EXPECT_EQ(answer->spin.why, "\"https://{{ host }}\" (spin.toml:7:28)");
  EXPECT_EQ(answer->native.why, "`https://h.example` (spin.toml:7:28), once the workload has looked the name up");
}

}  // namespace
}  // namespace namewall::agent
