// What the kernel side makes of the fields of an image that belong to the DNS proxy.
#include <gtest/gtest.h>

#include <set>

#include "bpf/rule_entries.h"
#include "policy/image_hash.h"
#include "policy/learning.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

PolicyImage image_with_globs(int count) {
  std::string allow = "\"plain.example.com\"";
  for (int i = 0; i < count; ++i) allow += ", \"a*" + std::to_string(i) + ".example.com\"";
  const auto loaded = load_policy("name = \"a\"\nallow = [" + allow + "]\n", Format::kToml, "a.toml");
  return *compile_policy(loaded.value, {}, {});
}

TEST(ProxyImage, TheKernelIsGivenNoNamesWhereItCannotHoldThemAll) {
  const bpf::RuleEntries all = bpf::make_rule_entries(image_with_globs(16), 1);
  EXPECT_FALSE(all.names.keys.empty());
  EXPECT_FALSE(all.globs.keys.empty());
  const PolicyImage crowded = image_with_globs(17);
  ASSERT_FALSE(kernel_holds_names(crowded));
  const bpf::RuleEntries none = bpf::make_rule_entries(crowded, 1);
  EXPECT_TRUE(none.names.keys.empty());
  EXPECT_TRUE(none.globs.keys.empty());
}

TEST(ProxyImage, WhateverTheProxyDoesOtherwiseIsAnotherPolicy) {
  const PolicyImage image = image_with_globs(1);
  std::set<std::uint64_t> hashes = {hash_of(image)};
  std::size_t changes = 0;
  const auto change = [&](auto alter) {
    PolicyImage other = image;
    alter(other);
    hashes.insert(hash_of(other));
    ++changes;
  };
  change([](PolicyImage& other) { other.learn = Learn::kProxy; });
  change([](PolicyImage& other) { other.system_resolvers = 1; });
  change([](PolicyImage& other) { other.refuse_with = RefuseWith::kNodata; });
  change([](PolicyImage& other) { other.hints = Hints::kStrip; });
  change([](PolicyImage& other) { other.ech = Ech::kStrip; });
  change([](PolicyImage& other) { other.cache = false; });
  change([](PolicyImage& other) { other.bounds.in_flight = 7; });
  change([](PolicyImage& other) { other.bounds.per_second = 7; });
  change([](PolicyImage& other) { other.bounds.fresh_per_second = 7; });
  change([](PolicyImage& other) { other.bounds.connections = 7; });
  change([](PolicyImage& other) { other.bounds.idle = std::chrono::seconds(7); });
  change([](PolicyImage& other) { other.agent_names = {DomainName::from_normal("plain.example.com")}; });
  change([](PolicyImage& other) { other.retain = Retain::kUntilNextAnswer; });
  EXPECT_EQ(hashes.size(), changes + 1);
}

}  // namespace
}  // namespace namewall::agent
