#include "policy/spin_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Loaded<SpinManifest> read_manifest(std::string_view text) { return read_spin_manifest(text, "spin.toml"); }

std::vector<std::string> entries_of(const SpinManifest& manifest, std::string_view id) {
  std::vector<std::string> texts;
  for (const SpinComponent& component : manifest.components) {
    for (const SpinManifestEntry& entry : component.entries) {
      if (component.id == id) texts.push_back(entry.text);
    }
  }
  return texts;
}

std::string first_message(const Loaded<SpinManifest>& manifest) {
  return manifest.diagnostics.empty() ? "" : manifest.diagnostics.front().to_string();
}

TEST(SpinManifestReader, ReadsComponentsAndVariablesOfVersion2) {
  const auto manifest = read_manifest(R"(spin_manifest_version = 2
[application]
name = "shop"
[variables]
host = { default = "h.example" }
token = { required = true, secret = true }
[[trigger.http]]
route = "/..."
component = "api"
[component.api]
source = "api.wasm"
allowed_outbound_hosts = [ "https://{{ host }}", "redis://cache" ]
[component.web]
)");
  ASSERT_TRUE(manifest.ok()) << first_message(manifest);
  EXPECT_EQ(manifest.value.application, "shop");
  EXPECT_THAT(manifest.value.component_ids(), ElementsAre("api", "web"));
  EXPECT_THAT(entries_of(manifest.value, "api"), ElementsAre("https://{{ host }}", "redis://cache"));
  EXPECT_THAT(entries_of(manifest.value, "web"), IsEmpty());
  EXPECT_THAT(manifest.value.variables, ElementsAre("host", "token"));
  EXPECT_EQ(manifest.value.defaults, (SpinVariables{{"host", "h.example"}}));
  const SpinManifestEntry& second = manifest.value.components.front().entries.back();
  EXPECT_EQ(second.position, (Position{12, 50}));
}

TEST(SpinManifestReader, FindsComponentsInsideOfTriggers) {
  const auto manifest = read_manifest(R"(spin_manifest_version = 2
[[trigger.http]]
component = { source = "a.wasm", allowed_outbound_hosts = ["https://a"] }
[[trigger.redis]]
id = "orders"
component = { allowed_outbound_hosts = ["https://b"] }
[[trigger.redis]]
id = "both"
component = { allowed_outbound_hosts = ["https://c"] }
components.others = [{ allowed_outbound_hosts = ["https://d"] }, "named"]
)");
  ASSERT_TRUE(manifest.ok()) << first_message(manifest);
  EXPECT_THAT(manifest.value.component_ids(),
              ElementsAre("http-trigger1-component", "orders-component", "inline-component1", "inline-component2"));
  EXPECT_THAT(entries_of(manifest.value, "inline-component2"), ElementsAre("https://d"));
}

TEST(SpinManifestReader, OpensEveryDatabaseInVersion1WhereNothingIsSaid) {
  const auto manifest = read_manifest(R"(spin_version = "1"
name = "old"
[[component]]
id = "My_API"
allowed_http_hosts = [ "example.com:8080", "https://b.example/", "self", "[::1]" ]
[[component]]
id = "new"
allowed_outbound_hosts = []
)");
  ASSERT_TRUE(manifest.ok()) << first_message(manifest);
  EXPECT_THAT(
      entries_of(manifest.value, "my-api"),
      ElementsAre("redis://*:*", "mysql://*:*", "postgres://*:*", "http://example.com:8080", "https://example.com:8080",
                  "http://b.example", "https://b.example", "http://self", "http://[::1]", "https://[::1]"));
  EXPECT_TRUE(manifest.value.components.front().entries.front().is_implied);
  EXPECT_THAT(entries_of(manifest.value, "new"), IsEmpty());
}

TEST(SpinManifestReader, TakesOldHttpHostsInVersion2WithoutTheDatabases) {
  const auto manifest = read_manifest(R"(spin_manifest_version = 2
[component.a]
allowed_outbound_hosts = ["tcp://x:1"]
allowed_http_hosts = ["b", "insecure:allow-all"]
)");
  ASSERT_TRUE(manifest.ok()) << first_message(manifest);
  EXPECT_THAT(entries_of(manifest.value, "a"), ElementsAre("tcp://x:1", "http://*:*", "https://*:*", "http://self"));
}

TEST(SpinManifestReader, PointsAtEveryMistake) {
  EXPECT_THAT(first_message(read_manifest("name = 'x'")),
              HasSubstr("spin.toml:1:1: error: no `spin_manifest_version`"));
  EXPECT_THAT(first_message(read_manifest("spin_manifest_version = 3")),
              HasSubstr("1:25: error: the manifest's version"));
  const std::string version = "spin_manifest_version = 2\n";
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"[component.a]\nallowed_outbound_hosts = 'x'", "3:26: error: `allowed_outbound_hosts` is a string"},
           {"[component.a]\nallowed_outbound_hosts = [1]", "3:27: error: an item of `allowed_outbound_hosts`"},
           {"[component.a]\nallowed_outbound_hosts = ['insecure:allow-all']", "3:27: error: `insecure:allow-all`"},
           {"[component.a]\nallowed_http_hosts = ['ftp://x']",
            "3:23: error: \"ftp://x\" of `allowed_http_hosts`: only"},
           {"[component.a]\nallowed_http_hosts = ['x/y']", "an entry has no path"},
           {"component = 5", "2:13: error: `component` is an integer"},
           {"[variables]\na = 5", "3:5: error: `variables.a` is an integer"},
           {"[variables]\na = { default = 5 }", "error: `default` is an integer"},
           {"[[component]]\nid = 'a'", "`component` is a list"}}) {
    EXPECT_THAT(first_message(read_manifest(version + text)), HasSubstr(message)) << text;
  }
  EXPECT_THAT(first_message(read_manifest("spin_version = '1'\n[[component]]\nsource = 'x'")),
              HasSubstr("a component has no `id`"));
  EXPECT_THAT(first_message(read_manifest("spin_version = '1'\n[[component]]\nid = 'a'\n[[component]]\nid = 'A_'")),
              HasSubstr(""));
}

TEST(SpinManifestReader, HoldsAThousandComponents) {
  std::string text = "spin_manifest_version = 2\n";
  for (int i = 0; i < 1000; ++i) text += "[component.c" + std::to_string(i) + "]\n";
  EXPECT_TRUE(read_manifest(text).ok());
  EXPECT_THAT(first_message(read_manifest(text + "[component.more]\n")), HasSubstr("more than 1000 components"));
}

TEST(SpinManifestReader, NamesComponentsAsSpinDoes) {
  EXPECT_EQ(spin_component_id("api"), "api");
  EXPECT_EQ(spin_component_id("my-API"), "my-API");
  EXPECT_EQ(spin_component_id("my_api"), "my-api");
  EXPECT_EQ(spin_component_id("myApi"), "myapi");
}

}  // namespace
}  // namespace namewall
