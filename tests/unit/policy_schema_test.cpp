// docs/policy.schema.json and the loader speak of the same keys, words and defaults.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "policy/policy_loader.h"

namespace namewall {
namespace {

nlohmann::json schema() {
  std::ifstream file(NAMEWALL_SOURCE_DIR "/docs/policy.schema.json");
  return nlohmann::json::parse(file);
}

bool loads(nlohmann::json policy) {
  policy["name"] = "a";
  return load_policy(policy.dump(), Format::kJson, "schema").ok();
}

// The keys after "accepted: " of the message for an unknown key.
std::set<std::string> keys_of_loader(const std::string& text) {
  const auto loaded = load_policy(text, Format::kJson, "schema");
  const std::string& message = loaded.diagnostics.at(0).message;
  std::string list = message.substr(message.find("accepted: ") + 10) + ", ";
  std::set<std::string> keys;
  for (std::size_t end = list.find(", "); end != std::string::npos; end = list.find(", ")) {
    keys.insert(list.substr(0, end));
    list.erase(0, end + 2);
  }
  return keys;
}

std::set<std::string> keys_of(const nlohmann::json& properties) {
  std::set<std::string> keys;
  for (const auto& [key, value] : properties.items()) keys.insert(key);
  return keys;
}

TEST(PolicySchema, HasTheKeysOfTheLoader) {
  const auto properties = schema()["properties"];
  EXPECT_EQ(keys_of(properties), keys_of_loader(R"({"name": "a", "qqqqqqqq": 1})"));
  EXPECT_EQ(keys_of(properties["dns"]["properties"]), keys_of_loader(R"({"name": "a", "dns": {"qqqqqqqq": 1}})"));
}

TEST(PolicySchema, ListsWordsThatTheLoaderReads) {
  const auto properties = schema()["properties"];
  for (const auto& [key, property] : properties.items()) {
    if (!property.contains("enum")) continue;
    for (const auto& word : property["enum"]) EXPECT_TRUE(loads({{key, word}})) << key << " " << word;
  }
  for (const auto& [key, property] : properties["dns"]["properties"].items()) {
    if (!property.contains("enum")) continue;
    for (const auto& word : property["enum"]) EXPECT_TRUE(loads({{"dns", {{key, word}}}})) << key << " " << word;
  }
}

TEST(PolicySchema, HasTheDefaultsOfTheLoader) {
  const auto properties = schema()["properties"];
  nlohmann::json written = {{"name", "a"}};
  for (const auto& [key, property] : properties.items()) {
    if (property.contains("default")) written[key] = property["default"];
  }
  for (const auto& [key, property] : properties["dns"]["properties"].items()) {
    ASSERT_TRUE(property.contains("default")) << key;
    written["dns"][key] = property["default"];
  }
  const auto with_defaults = load_policy(written.dump(), Format::kJson, "schema");
  ASSERT_TRUE(with_defaults.ok());
  EXPECT_EQ(to_canonical_json(with_defaults.value),
            to_canonical_json(load_policy(R"({"name": "a"})", Format::kJson, "schema").value));
}

TEST(PolicySchema, BoundsMaxAddressesAsTheLoader) {
  const auto bounds = schema()["properties"]["dns"]["properties"]["max_addresses"];
  for (const auto& [bound, beyond] : {std::pair{"minimum", -1}, {"maximum", 1}}) {
    const int value = bounds[bound].get<int>();
    EXPECT_TRUE(loads({{"dns", {{"max_addresses", value}}}}));
    EXPECT_FALSE(loads({{"dns", {{"max_addresses", value + beyond}}}}));
  }
}

}  // namespace
}  // namespace namewall
