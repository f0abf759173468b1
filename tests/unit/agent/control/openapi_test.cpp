// docs/openapi.json says of the control socket what is so: its paths are the routes, its schemas the views.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "agent/control/routes.h"
#include "agent/host/host_json.h"

namespace namewall::agent {
namespace {

using nlohmann::json;

const json& openapi() {
  static const json kDocument = json::parse(std::ifstream(NAMEWALL_SOURCE_DIR "/docs/openapi.json"), nullptr, false);
  return kDocument;
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lowered;
}

std::string_view word_of(Right right) {
  return right == Right::kOwn ? "own" : right == Right::kRead ? "read" : "change";
}

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

std::string type_of(const json& value) {
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_array()) return "array";
  if (value.is_number_float()) return "number";
  return value.is_number() ? "integer" : "object";
}

template <typename View>
void expect_described(const std::string& name) {
  SCOPED_TRACE(name);
  const json& schemas = openapi()["components"]["schemas"];
  ASSERT_TRUE(schemas.contains(name));
  const json view = View{};
  const json& properties = schemas[name]["properties"];
  EXPECT_EQ(keys_of(properties), keys_of(view));
  for (const auto& [key, value] : view.items()) {
    if (properties.contains(key) && properties[key].contains("type")) {
      EXPECT_EQ(properties[key]["type"], type_of(value)) << key;
    }
  }
}

TEST(OpenapiTest, DescribesEveryRouteAndNoOther) {
  ASSERT_TRUE(openapi().is_object());
  std::set<std::string> routed, described;
  for (const Route& route : routes()) routed.insert(std::string(route.method) + " " + std::string(route.path));
  for (const auto& [path, item] : openapi()["paths"].items()) {
    for (const auto& [method, operation] : item.items()) {
      if (method == "parameters") continue;
      std::string upper(method);
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      described.insert(upper + " " + path);
    }
  }
  EXPECT_EQ(described, routed);
}

TEST(OpenapiTest, TellsRightsBodiesAndQueriesOfEachRoute) {
  for (const Route& route : routes()) {
    SCOPED_TRACE(std::string(route.method) + " " + std::string(route.path));
    const json& operation = openapi()["paths"][std::string(route.path)][lower(route.method)];
    EXPECT_EQ(operation["x-right"], word_of(route.right));
    EXPECT_EQ(operation.contains("requestBody"), route.body != BodySize::kNone);
    std::set<std::string> described;
    for (const json& parameter : operation.value("parameters", json::array())) described.insert(parameter["name"]);
    EXPECT_EQ(described, std::set<std::string>(route.query.begin(), route.query.end()));
    EXPECT_NE(operation["description"].get<std::string>().find("curl --unix-socket"), std::string::npos);
  }
}

TEST(OpenapiTest, DescribesEveryViewByItsKeys) {
  expect_described<WorkloadView>("WorkloadView");
  expect_described<RuleView>("RuleView");
  expect_described<ResolverView>("ResolverView");
  expect_described<GrantView>("GrantView");
  expect_described<WorkloadDetail>("WorkloadDetail");
  expect_described<EventView>("EventView");
  expect_described<PolicyFileView>("PolicyFileView");
  expect_described<BoundView>("BoundView");
  expect_described<StatusView>("StatusView");
  expect_described<ExplainView>("ExplainView");
  expect_described<SelfView>("SelfView");
  expect_described<ChangeView>("ChangeView");
  expect_described<RestrictView>("RestrictView");
  expect_described<ReloadView>("ReloadView");
  expect_described<ProofView>("ProofView");
  expect_described<RepairView>("RepairView");
}

TEST(OpenapiTest, RefersOnlyToSchemasThatItHas) {
  const std::string text = openapi().dump();
  const std::string prefix = "#/components/schemas/";
  std::size_t references = 0;
  for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at + 1)) {
    const std::size_t begin = at + prefix.size();
    const std::string name = text.substr(begin, text.find('"', begin) - begin);
    EXPECT_TRUE(openapi()["components"]["schemas"].contains(name)) << name;
    ++references;
  }
  EXPECT_GT(references, 50u);
}

}  // namespace
}  // namespace namewall::agent
