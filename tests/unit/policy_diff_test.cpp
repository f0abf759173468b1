#include "policy/policy_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "policy/policy_loader.h"

namespace namewall {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct CompiledSide {
  Policy policy;
  PolicyImage image;
};

CompiledSide compiled_side(const std::string& lines, const HostPolicy& host = {}) {
  const auto loaded = load_policy("name = \"a\"\ncgroup = \"/a\"\n" + lines, Format::kToml, "p.toml");
  EXPECT_TRUE(loaded.ok()) << lines;
  auto image = compile_policy(loaded.value, host, parse_resolv_conf("nameserver 192.0.2.53"));
  EXPECT_TRUE(image);
  return {loaded.value, *image};
}

std::vector<std::string> openings(const std::string& older, const std::string& newer) {
  const CompiledSide a = compiled_side(older), b = compiled_side(newer);
  std::vector<std::string> lines;
  for (const AccessChange& change : diff_policies(a.policy, a.image, b.policy, b.image).opens) {
    lines.push_back(to_string(change));
  }
  return lines;
}

TEST(PolicyDiff, EveryKindOfWidening) {
  const std::string allow = "allow = [\"a.example\"]\n";
  EXPECT_THAT(openings(allow, allow), IsEmpty());
  EXPECT_THAT(openings(allow, "allow = [\"a.example\", \"b.example\"]\n"), ElementsAre("opens b.example tcp/443"));
  EXPECT_THAT(openings("allow = [\"**.a.example\"]\ndeny = [\"t.a.example\"]\n", "allow = [\"**.a.example\"]\n"),
              Contains("opens t.a.example tcp/443"));
  EXPECT_THAT(openings(allow + "deny = [\"10.0.0.0/8\"]\n", allow),
              ElementsAre("opens 10.0.0.0/8 undenied tcp+udp/* icmp"));
  EXPECT_THAT(openings(allow, "allow = [\"a.example?private\"]\n"), ElementsAre("opens a.example private tcp/443"));
  EXPECT_THAT(openings(allow, allow + "listen = [\"tcp:80\"]\n"), ElementsAre("opens listen tcp/80"));
  EXPECT_THAT(openings(allow + "loopback = \"none\"\n", allow), ElementsAre("opens loopback none -> own"));
  EXPECT_THAT(openings(allow, allow + "mode = \"audit\"\n"), ElementsAre("opens mode enforce -> audit"));
  EXPECT_THAT(openings(allow, allow + "[dns]\nretain = \"workload\"\n"), ElementsAre("opens retain ttl -> workload"));
  EXPECT_THAT(openings(allow, allow + "[dns]\ngrace = \"5m\"\n"), ElementsAre("opens grace 1m30s -> 5m"));
  EXPECT_THAT(openings(allow, allow + "[dns]\nmax_ttl = \"48h\"\n"), ElementsAre("opens max_ttl 24h -> 48h"));
  EXPECT_THAT(openings(allow, allow + "[dns]\nresolvers = [\"system\", \"192.0.2.99\"]\n"),
              ElementsAre("opens resolver 192.0.2.99 udp/53"));
  EXPECT_THAT(openings(allow, allow + "[dns]\nsearch = [\"corp.example\"]\n"),
              ElementsAre("opens a.example.corp.example ask"));
  EXPECT_THAT(openings("unarmed_children = \"refuse\"\n", ""), ElementsAre("opens unarmed_children refuse -> watch"));
  EXPECT_THAT(openings("cut_unattributed = true\n", ""), ElementsAre("opens cut_unattributed true -> false"));
}

TEST(PolicyDiff, WhatIsLessOpensNothing) {
  EXPECT_THAT(openings("allow = [\"a.example\", \"b.example\"]\n", "allow = [\"a.example\"]\n"), IsEmpty());
  EXPECT_THAT(openings("loopback = \"any\"\n", "loopback = \"none\"\n"), IsEmpty());
  EXPECT_THAT(openings("mode = \"audit\"\n", "mode = \"enforce\"\n"), IsEmpty());
  EXPECT_THAT(openings("[dns]\nretain = \"workload\"\n", "[dns]\nretain = \"ttl\"\n"), IsEmpty());
  EXPECT_THAT(openings("[dns]\nlearn = \"kernel\"\n", "[dns]\nlearn = \"proxy\"\n"), IsEmpty());
}

TEST(PolicyDiff, ACgroupThatIsNotNamedAnyMoreIsHeldByNothing) {
  CompiledSide older = compiled_side(""), newer = compiled_side("");
  newer.policy.cgroups = {"/b"};
  const PolicyDiff diff = diff_policies(older.policy, older.image, newer.policy, newer.image);
  ASSERT_EQ(diff.opens.size(), 1u);
  EXPECT_EQ(to_string(diff.opens[0]), "opens cgroup /a which it does not hold any more");
  EXPECT_EQ(diff.closes.size(), 1u);
}

// Random policies over few names, so that rules meet often.
class DiffMaker {
 public:
  explicit DiffMaker(unsigned seed) : random_(seed) {}

  Policy make() {
    Policy policy;
    policy.name = "a";
    for (int i = below(4); i > 0; --i) policy.allow.push_back(rule(EndpointUse::kAllow));
    for (int i = below(3); i > 0; --i) policy.deny.push_back(rule(EndpointUse::kDeny));
    return policy;
  }

  // A step to either side of it, so that many pairs open nothing.
  Policy change(Policy policy) {
    auto& rules = below(2) == 0 ? policy.allow : policy.deny;
    const auto use = &rules == &policy.allow ? EndpointUse::kAllow : EndpointUse::kDeny;
    if (!rules.empty() && below(2) == 0) {
      rules.erase(rules.begin() + below(static_cast<int>(rules.size())));
    } else {
      rules.insert(rules.begin() + below(static_cast<int>(rules.size()) + 1), rule(use));
    }
    return policy;
  }

  HostPolicy make_host() {
    HostPolicy host;
    if (below(3) == 0) host.deny.push_back(rule(EndpointUse::kDeny));
    if (below(3) == 0) {
      host.private_names.push_back(
          {Endpoint{*NamePattern::parse(pick({"**.x", "a*.x", "b.x"})), PortSet::all(), true, ""}, {}});
    }
    return host;
  }

  int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }

 private:
  std::string pick(const std::vector<std::string>& from) {
    return from[static_cast<std::size_t>(below(static_cast<int>(from.size())))];
  }

  Rule rule(EndpointUse use) {
    const std::string host = pick({"a.x", "b.x", "*.x", "**.x", "a*.x", "*b.x", "*.a*.x", "a.*.x", "**.a.x", "*",
                                   "10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "0.0.0.0/0", "127.0.0.1"});
    const bool is_name = host.find('x') != std::string::npos;
    const std::string text = pick({"tcp", "*"}) + "://" + host + ":" + pick({"1", "2", "1-2", "*"}) +
                             (is_name && use == EndpointUse::kAllow && below(3) == 0 ? "?private" : "");
    const auto endpoint = parse_endpoint(text, use);
    EXPECT_TRUE(endpoint) << text;
    return {*endpoint, {}};
  }

  std::mt19937 random_;
};

// "", or a name or address with a port that the newer lets through and the older did not.
std::string find_opening(const PolicyImage& older, const PolicyImage& newer) {
  static const std::vector<std::string> kNames = {"x",      "a.x",   "b.x",   "ab.x",    "c.x",     "a.a.x", "b.a.x",
                                                  "c.ab.x", "a.b.x", "a.c.x", "d.c.b.x", "c.a.a.x", "y",     "a.y"};
  static const std::vector<std::string> kAddresses = {"10.0.0.1",  "10.1.0.1",  "192.0.2.1",   "198.51.100.1",
                                                      "127.0.0.1", "127.0.0.2", "2001:db8::1", "::1"};
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    for (const Port port : {Port{1}, Port{2}, Port{3}}) {
      const PortMask before = older.mask_of(protocol, port), after = newer.mask_of(protocol, port);
      const std::string at = " " + to_string(protocol) + "/" + std::to_string(port.number);
      for (const std::string& text : kNames) {
        const DomainName name = DomainName::from_normal(text);
        const NameDecision was = decide_name(older, name), is = decide_name(newer, name);
        if ((is.allow & after) != 0 && (was.allow & before) == 0) return text + at;
        if ((is.allow_private & after) != 0 && (was.allow_private & before) == 0) return text + " private" + at;
        if (is.may_ask() && !was.may_ask()) return text + " ask";
      }
      for (const std::string& text : kAddresses) {
        const AddressDecision was = decide_address(older, *parse_address(text)),
                              is = decide_address(newer, *parse_address(text));
        const bool was_denied = ((was.deny | was.host_deny) & before) != 0,
                   is_denied = ((is.deny | is.host_deny) & after) != 0;
        if (was_denied && !is_denied) return text + " undenied" + at;
        if (!is_denied && (is.allow & after) != 0 && ((was.allow & before) == 0 || was_denied)) return text + at;
      }
    }
  }
  return "";
}

TEST(PolicyDiff, WhereItSaysThatNothingOpensNothingDoes) {
  int without_openings = 0;
  for (unsigned seed = 0; seed < 6'000; ++seed) {
    DiffMaker maker(seed);
    const HostPolicy host = maker.make_host();
    const Policy older = maker.make();
    Policy newer = maker.change(older);
    if (maker.below(3) == 0) newer = maker.change(newer);
    const auto a = compile_policy(older, host, {}), b = compile_policy(newer, host, {});
    ASSERT_TRUE(a && b);
    if (diff_policies(older, *a, newer, *b).widens()) continue;
    ++without_openings;
    ASSERT_EQ(find_opening(*a, *b), "") << "seed " << seed << "\n"
                                        << to_canonical_toml(older) << to_canonical_toml(newer);
  }
  EXPECT_GT(without_openings, 1'500);
}

}  // namespace
}  // namespace namewall
