#include "agent/expectations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> failures_of(const std::string& lines) {
  const auto loaded = load_policy("name = \"a\"\n" + lines, Format::kToml, "p.toml");
  EXPECT_TRUE(loaded.ok());
  const auto image = compile_policy(loaded.value, {}, parse_resolv_conf("nameserver 192.0.2.53"));
  EXPECT_TRUE(image);
  std::vector<std::string> out;
  for (const Diagnostic& failure : failed_expectations(loaded.value, {}, *image)) out.push_back(failure.to_string());
  return out;
}

std::string expect_table(const std::string& target, bool allowed) {
  return "[[expect]]\ntarget = \"" + target + "\"\nallowed = " + (allowed ? "true\n" : "false\n");
}

constexpr const char* kRules = "allow = [\"**.a.example\", \"tcp://192.0.2.1:22\"]\ndeny = [\"t.a.example\"]\n";

TEST(Expectations, HoldWherePolicyAndExpectationAgree) {
  EXPECT_THAT(failures_of(kRules + expect_table("b.a.example", true) + expect_table("a.example", false) +
                          expect_table("t.a.example", false) + expect_table("http://b.a.example", false) +
                          expect_table("tcp://192.0.2.1:22", true) + expect_table("udp://192.0.2.1:53", false)),
              IsEmpty());
}

TEST(Expectations, OneThatFailsIsToldAtItsLineWithTheRuleThatDecides) {
  EXPECT_THAT(failures_of(kRules + expect_table("t.a.example", true)),
              ElementsAre("p.toml:5:10: error: expected `t.a.example` to be allowed, and it is refused; deny rules: "
                          "`t.a.example` (p.toml:3:9) has tcp+udp/* icmp"));
  EXPECT_THAT(
      failures_of(kRules + expect_table("tcp://192.0.2.1:22", false)),
      ElementsAre(HasSubstr("p.toml:5:10: error: expected `tcp://192.0.2.1:22` to be refused, and it is allowed")));
}

TEST(Expectations, AuditModeMakesNoDifference) {
  EXPECT_THAT(failures_of("mode = \"audit\"\n" + (kRules + expect_table("192.0.2.2", true))),
              ElementsAre(HasSubstr("to be allowed, and it is refused")));
}

TEST(Expectations, ATargetIsOneNameOrAddressWithOnePort) {
  EXPECT_THAT(failures_of(kRules + expect_table("**.a.example", true)),
              ElementsAre(HasSubstr("p.toml:5:10: error: a target: `**.a.example` is more than one target")));
}

}  // namespace
}  // namespace namewall::agent
