// The dashboard, the alert rules and docs/metrics.md against the metrics that there are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <vector>

#include "tests/unit/agent/metrics_builder.h"
#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

using Json = nlohmann::json;

std::string shipped(const std::string& path) { return contents_of(std::string(NAMEWALL_SOURCE_DIR) + "/" + path); }

std::set<std::string> existing() { return metric_names(metrics_text(make_full_metrics())); }

// What looks like a metric, without the suffixes that a histogram's series have.
std::set<std::string> named_in(const std::string& text) {
  std::set<std::string> names;
  const std::regex name("\\b(namewall_[a-z_]+|process_[a-z_]+)\\b");
  for (std::sregex_iterator found(text.begin(), text.end(), name), end; found != end; ++found)
    names.insert(std::regex_replace(found->str(), std::regex("_(bucket|sum|count)$"), ""));
  return names;
}

// The values of every key "expr".
void collect_expressions(const Json& json, std::vector<std::string>& expressions) {
  if (json.is_object() && json.contains("expr")) expressions.push_back(json["expr"]);
  if (!json.is_structured()) return;
  for (const auto& part : json) collect_expressions(part, expressions);
}

std::vector<std::string> dashboard_expressions() {
  std::vector<std::string> expressions;
  collect_expressions(Json::parse(shipped("deploy/grafana/namewall.json")), expressions);
  return expressions;
}

TEST(AlertRules, NameOnlyMetricsThatExist) {
  const auto names = named_in(shipped("deploy/prometheus/namewall.rules.yml"));
  EXPECT_GT(names.size(), 5u);
  EXPECT_THAT(existing(), testing::IsSupersetOf(names));
}

TEST(AlertRules, NameOnlyBucketsThatExist) {
  const auto rules = shipped("deploy/prometheus/namewall.rules.yml");
  const auto metrics = metrics_text(make_full_metrics());
  const std::regex bucket("\\ble=\"[^\"]*\"");
  std::sregex_iterator found(rules.begin(), rules.end(), bucket), end;
  EXPECT_NE(found, end);
  for (; found != end; ++found) EXPECT_THAT(metrics, testing::HasSubstr(found->str()));
}

TEST(Dashboard, ShowsEveryMetricAndNoOther) {
  EXPECT_EQ(named_in(shipped("deploy/grafana/namewall.json")), existing());
}

TEST(Dashboard, HasOnlyExpressionsThatPrometheusParses) {
  const TemporaryDirectory directory;
  Json rules = Json::array();
  for (auto expression : dashboard_expressions()) {
    expression = std::regex_replace(expression, std::regex("\\$__rate_interval"), "5m");
    rules.push_back({{"record", "panel:" + std::to_string(rules.size())}, {"expr", expression}});
  }
  ASSERT_GT(rules.size(), 20u);
  const Json groups = {{"groups", {{{"name", "dashboard"}, {"rules", rules}}}}};
  const auto file = directory.file("rules.yml"), complaints = directory.file("complaints");
  put_into(file, groups.dump());  // JSON is YAML
  const std::string command = NAMEWALL_PROMTOOL " check rules " + file + " >" + complaints + " 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << contents_of(complaints);
}

TEST(Documentation, DescribesEveryMetricAndNoOther) { EXPECT_EQ(named_in(shipped("docs/metrics.md")), existing()); }

}  // namespace
}  // namespace namewall::agent
