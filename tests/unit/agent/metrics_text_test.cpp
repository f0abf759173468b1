#include "agent/host/metrics_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/unit/agent/metrics_builder.h"
#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

using testing::HasSubstr;
using testing::Not;

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(MetricsText, SaysEachValueWithItsLabels) {
  const auto text = metrics_text(make_full_metrics());
  EXPECT_THAT(text, HasSubstr("\nnamewall_lookups_total{policy=\"builder\",result=\"allowed\"} 12\n"));
  EXPECT_THAT(text, HasSubstr("\nnamewall_refusals_total{policy=\"builder\",reason=\"not_looked_up\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\nnamewall_workloads{policy=\"builder\",state=\"partial\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nnamewall_policy_info{policy=\"builder\",sha256=\"00ff\",file=\"builder.toml\","
                              "generation=\"4\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nnamewall_proof_age_seconds{policy=\"builder\"} 12.5\n"));
  EXPECT_THAT(text, HasSubstr("\nnamewall_policy_error{file=\"broken.toml\"} 1\n"));
}

TEST(MetricsText, WritesHistogramsWithGrowingBuckets) {
  const auto text = metrics_text(make_full_metrics());
  EXPECT_THAT(text, HasSubstr("\nnamewall_kernel_update_seconds_bucket{le=\"0.00005\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nnamewall_kernel_update_seconds_bucket{le=\"0.0001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nnamewall_kernel_update_seconds_bucket{le=\"+Inf\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nnamewall_kernel_update_seconds_sum 0.00007\n"));
}

TEST(MetricsText, EscapesWhatSomebodyElseNamed) {
  MetricsInput input;
  input.broken_files = {"a\"} 1\nfake_total 5\xff.toml"};
  const auto text = metrics_text(input);
  EXPECT_THAT(text, HasSubstr("{file=\"a\\\"} 1\\\\x0afake_total 5\\\\xff.toml\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("\nfake_total")));
}

TEST(MetricsText, FoldsPoliciesBeyondTheBound) {
  MetricsInput input;
  for (int number = 1000; number < 1500; ++number) {
    PolicyMetrics& policy = input.policies["p" + std::to_string(number)];
    policy.grants_live = 1;
    policy.oldest_proof_s = number;
    policy.info = PolicyInfo{};
  }
  const auto text = metrics_text(input);
  EXPECT_EQ(count_of(text, "\nnamewall_grants_live{"), CounterTotals::kMaxPolicies + 1);
  EXPECT_THAT(text, HasSubstr("\nnamewall_grants_live{policy=\"other\"} 300\n"));
  EXPECT_THAT(text, HasSubstr("\nnamewall_proof_age_seconds{policy=\"other\"} 1499\n"));
  EXPECT_THAT(text, Not(HasSubstr("namewall_policy_info{policy=\"other\"")));
}

TEST(MetricsText, FoldsIntoASharedLabelThatIsThereAlready) {
  MetricsInput input;
  input.policies["other"].grants_live = 5;
  for (int number = 0; number < 201; ++number) input.policies["p" + std::to_string(number)].grants_live = 1;
  const auto text = metrics_text(input);
  EXPECT_EQ(count_of(text, "\nnamewall_grants_live{policy=\"other\"}"), 1u);
}

TEST(MetricsText, FoldsBrokenFilesBeyondTheBound) {
  MetricsInput input;
  for (int number = 0; number < 250; ++number) input.broken_files.push_back(std::to_string(number) + ".toml");
  EXPECT_THAT(metrics_text(input), HasSubstr("\nnamewall_policy_error{file=\"other\"} 50\n"));
}

TEST(MetricsText, SatisfiesPromtool) {
  const TemporaryDirectory directory;
  for (const auto& input : {make_full_metrics(), MetricsInput{}}) {
    const auto metrics = directory.file("metrics"), complaints = directory.file("complaints");
    put_into(metrics, metrics_text(input));
    const std::string command = NAMEWALL_PROMTOOL " check metrics <" + metrics + " >" + complaints + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(contents_of(complaints), "");
  }
}

}  // namespace
}  // namespace namewall::agent
