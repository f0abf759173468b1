#include "agent/refusal_words.h"

#include <gtest/gtest.h>

#include "tests/support/dns_builder.h"
#include "tests/support/random_policy.h"

namespace namewall::agent {
namespace {

using namewall::testing::rule_of;

PolicyImage builder_image() {
  Policy policy;
  policy.name = "builder";
  policy.dns.refuse_with = RefuseWith::kNodata;
  policy.allow = {rule_of("**.example.com", EndpointUse::kAllow)};
  policy.deny = {rule_of("*.ads.example.com", EndpointUse::kDeny)};
  return *compile_policy(policy, {}, {});
}

Event refused(const std::string& name, Reason reason = NW_REASON_NAME_NOT_ALLOWED) {
  Event event;
  event.name = name;
  event.reason = reason;
  return event;
}

TEST(RefusalWords, NameThePolicyAndTheRule) {
  const PolicyImage image = builder_image();
  const RefusalWords words = words_for(refused("evil.test"), &image);
  EXPECT_EQ(words.text, "namewall: builder: no rule names evil.test");
  EXPECT_EQ(words.refuse_with, RefuseWith::kNodata);
  EXPECT_EQ(words_for(refused("a.ads.example.com"), &image).text,
            "namewall: builder: deny rule *.ads.example.com names a.ads.example.com");
}

TEST(RefusalWords, SayTheReasonWhereTheImageHasNoWordOnTheName) {
  const PolicyImage image = builder_image();
  EXPECT_EQ(words_for(refused("www.example.com"), &image).text, "namewall: builder: no rule names it");
  EXPECT_EQ(words_for(refused("no..name"), &image).text, "namewall: builder: no rule names it");
  const RefusalWords unknown = words_for(refused("evil.test"), nullptr);
  EXPECT_EQ(unknown.text, "namewall: no rule names it");
  EXPECT_EQ(unknown.refuse_with, RefuseWith::kNxdomain);
}

TEST(RefusalWords, RefuseWhatIsBeyondABound) {
  const PolicyImage image = builder_image();
  const RefusalWords words = words_for(refused("new.example.com", NW_REASON_FRESH_NAMES), &image);
  EXPECT_EQ(words.refuse_with, RefuseWith::kRefused);
  EXPECT_EQ(words.text, "namewall: builder: " + std::string(sentence_of(NW_REASON_FRESH_NAMES)));
}

}  // namespace
}  // namespace namewall::agent
