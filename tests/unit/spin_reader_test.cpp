#include "policy/spin_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/canonical_form.h"
#include "policy/policy_loader.h"

namespace namewall {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kSpinManifest = R"(spin_manifest_version = 2
[variables]
host = { default = "h.example" }
[component.api]
allowed_outbound_hosts = [ "https://{{ host }}", "tcp://db.example:5432", "HTTP://x:80" ]
)";

LoadContext context_with(std::string_view manifest) {
  LoadContext context;
  context.read_manifest = [manifest](const std::string& path) -> Result<std::string> {
    if (path != "/srv/spin.toml") return fail(ErrorKind::kNotFound, "cannot open " + path);
    return std::string(manifest);
  };
  return context;
}

Loaded<Policy> load_spin(const std::string& lines, const LoadContext& context = context_with(kSpinManifest)) {
  return load_policy("name = \"a\"\n" + lines, Format::kToml, "p.toml", {}, context);
}

std::string first_diagnostic(const Loaded<Policy>& loaded) {
  return loaded.diagnostics.empty() ? "" : loaded.diagnostics.front().to_string();
}

std::vector<std::string> endpoints_of(const Loaded<Policy>& loaded) {
  std::vector<std::string> texts;
  for (const Rule& rule : loaded.value.allow) texts.push_back(to_canonical_string(rule.endpoint));
  return texts;
}

TEST(SpinKey, AppendsTheComponentsRules) {
  const auto loaded =
      load_spin("allow = [ \"https://h.example\", \"a.example\" ]\nspin = { manifest = \"/srv/spin.toml\" }");
  ASSERT_TRUE(loaded.ok()) << first_diagnostic(loaded);
  EXPECT_THAT(endpoints_of(loaded),
              ::testing::ElementsAre("tcp://h.example:443", "tcp://a.example:443", "tcp://db.example:5432"));
  EXPECT_EQ(loaded.value.allow.back().from, "spin component `api`");
  EXPECT_EQ(loaded.value.allow.back().origin.to_string(), "/srv/spin.toml:5:50");
  ASSERT_TRUE(loaded.value.spin);
  EXPECT_EQ(loaded.value.spin->manifest, "/srv/spin.toml");
  EXPECT_THAT(first_diagnostic(loaded), HasSubstr("/srv/spin.toml:5:75: warning: \"HTTP://x:80\""));
}

TEST(SpinKey, TakesComponentSocketsAndVariables) {
  const auto loaded = load_spin(
      "spin = { manifest = \"/srv/spin.toml\", component = \"api\", sockets = \"strict\", "
      "variables = { host = \"i.example\" } }");
  ASSERT_TRUE(loaded.ok()) << first_diagnostic(loaded);
  EXPECT_THAT(endpoints_of(loaded), ::testing::ElementsAre("tcp://db.example:5432"));
  EXPECT_THAT(endpoints_of(load_spin(
                  "[spin]\nmanifest = \"/srv/spin.toml\"\nsockets = \"all\"\nvariables.host = \"i.example\"")),
              ::testing::ElementsAre("tcp://i.example:443", "tcp://db.example:5432"));
}

TEST(SpinKey, SavesAsPlainRules) {
  const auto loaded = load_spin("spin = { manifest = \"/srv/spin.toml\" }");
  const std::string canonical = to_canonical_toml(loaded.value);
  EXPECT_THAT(canonical, ::testing::Not(HasSubstr("manifest")));
  EXPECT_EQ(to_canonical_toml(load_policy(canonical, Format::kToml, "again").value), canonical);
}

TEST(SpinKey, PointsAtItsMistakes) {
  for (const auto& [line, message] : std::vector<std::pair<std::string, std::string>>{
           {"spin = \"x\"", "p.toml:2:8: error: `spin` is a string"},
           {"spin = {}", "`manifest` is \"\"; accepted: the absolute path"},
           {"spin = { manifest = \"spin.toml\" }", "p.toml:2:21: error: `manifest` is \"spin.toml\""},
           {"spin = { manifest = \"/none\" }", "p.toml:2:21: error: cannot open /none"},
           {"spin = { manifest = \"/srv/spin.toml\", components = \"a\" }", "did you mean `component`?"},
           {"spin = { manifest = \"/srv/spin.toml\", component = \"b\" }",
            "/srv/spin.toml:1:1: error: the manifest has no"},
           {"spin = { manifest = \"/srv/spin.toml\", sockets = \"some\" }", "accepted: \"all\", \"strict\""},
           {"spin = { manifest = \"/srv/spin.toml\", variables = { host = 5 } }", "`host` is an integer"},
       }) {
    const auto loaded = load_spin(line);
    EXPECT_FALSE(loaded.ok()) << line;
    EXPECT_THAT(first_diagnostic(loaded), HasSubstr(message)) << line;
  }
}

TEST(SpinKey, IsRefusedWhereNoFileMayBeNamed) {
  const auto loaded = load_spin("spin = { manifest = \"/srv/spin.toml\" }", {});
  EXPECT_FALSE(loaded.ok());
  EXPECT_THAT(first_diagnostic(loaded), HasSubstr("a policy that comes from here may not"));
  EXPECT_TRUE(loaded.value.allow.empty());
}

}  // namespace
}  // namespace namewall
