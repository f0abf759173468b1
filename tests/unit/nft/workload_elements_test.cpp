#include "nft/workload_elements.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <chrono>

#include "policy/verdict.h"
#include "tests/support/dns_builder.h"
#include "tests/support/nft/table_double.h"
#include "tests/support/random_policy.h"

namespace namewall::nft {
namespace {

using namespace std::chrono_literals;
using namewall::testing::address_of;
using namewall::testing::name_of;
using namewall::testing::PolicyGenerator;
using namewall::testing::RandomPolicy;
using namewall::testing::rule_of;
using namewall::testing::TableDouble;

constexpr BootTime kNow{1000s};

PolicyImage compile(const Policy& policy, const HostPolicy& host = {}, const ResolvConf& system = {}) {
  Result<PolicyImage> image = compile_policy(policy, host, system);
  EXPECT_TRUE(image.has_value()) << image.error().what;
  return image.has_value() ? *std::move(image) : PolicyImage{};
}

Policy policy_of(const std::vector<std::string>& allow, const std::vector<std::string>& deny = {}) {
  Policy policy;
  policy.origin = {"test.toml", 1, 1};
  for (const std::string& text : allow) policy.allow.push_back(rule_of(text, EndpointUse::kAllow));
  for (const std::string& text : deny) policy.deny.push_back(rule_of(text, EndpointUse::kDeny));
  return policy;
}

ImageElements build(const PolicyImage& image) {
  Result<ImageElements> built = build_image_elements(image);
  EXPECT_TRUE(built.has_value()) << built.error().what;
  return built.has_value() ? *std::move(built) : ImageElements{};
}

std::vector<Element> of_set(const ImageElements& elements, SetId set) {
  std::vector<Element> found;
  for (const Element& element : elements.fixed) {
    if (element.set == set) found.push_back(element);
  }
  return found;
}

// "192.0.2.0-192.0.2.255 tcp/443" of fixed, "192.0.2.1 tcp/443" of what is no interval.
std::string describe(const Element& element) {
  const auto first = decode_endpoint(element.key);
  if (!first) return "not an endpoint";
  const auto last = element.key_end.empty() ? first : decode_endpoint(element.key_end);
  std::string text = first->address.to_string();
  if (last->address != first->address) text += "-" + last->address.to_string();
  text += first->ip_protocol == IPPROTO_TCP ? " tcp/" : first->ip_protocol == IPPROTO_UDP ? " udp/" : " icmp/";
  text += std::to_string(first->port);
  if (last->port != first->port) text += "-" + std::to_string(last->port);
  return text;
}

std::vector<std::string> describe(const std::vector<Element>& elements) {
  std::vector<std::string> texts;
  for (const Element& element : elements) texts.push_back(describe(element));
  return texts;
}

Grant grant(const std::string& name, const std::string& address, PortMask ports, Nanoseconds left) {
  return {.name = name_of(name), .address = address_of(address), .deadline = kNow + left, .ports = ports};
}

using Texts = std::vector<std::string>;

TEST(ImageElements, AddressRulesAreDisjointRangesWithoutWhatIsDenied) {
  const PolicyImage image =
      compile(policy_of({"tcp://192.0.2.0/24:443", "tcp://192.0.2.128/25:80"}, {"tcp://192.0.2.5:443"}));
  EXPECT_EQ(describe(of_set(build(image), SetId::kFixed4)),
            (Texts{"192.0.2.0-192.0.2.4 tcp/443", "192.0.2.6-192.0.2.127 tcp/443", "192.0.2.128-192.0.2.255 tcp/80",
                   "192.0.2.128-192.0.2.255 tcp/443"}));
}

TEST(ImageElements, AnyHostReachesTheEndsOfBothFamiliesAndNotLoopback) {
  const PolicyImage image = compile(policy_of({"tcp://*:443"}));
  const ImageElements built = build(image);
  EXPECT_EQ(describe(of_set(built, SetId::kFixed4)),
            (Texts{"0.0.0.1-126.255.255.255 tcp/443", "128.0.0.0-255.255.255.255 tcp/443"}));
  EXPECT_EQ(describe(of_set(built, SetId::kFixed6)), (Texts{"::2-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff tcp/443"}));
}

TEST(ImageElements, IcmpHasItsTypeAndCodeForAPort) {
  const ImageElements built = build(compile(policy_of({"icmp://192.0.2.1", "icmp://[2001:db8::1]"})));
  EXPECT_EQ(describe(of_set(built, SetId::kFixed4)), (Texts{"192.0.2.1 icmp/2048"}));
  EXPECT_EQ(describe(of_set(built, SetId::kFixed6)), (Texts{"2001:db8::1 icmp/32768"}));
}

TEST(ImageElements, AResolverIsNeverReachedPastTheProxy) {
  Policy policy = policy_of({"*://8.8.8.8:50-60"});
  policy.dns.resolvers = {{address_of("8.8.8.8"), Port{53}}};
  const ImageElements built = build(compile(policy));
  EXPECT_EQ(describe(of_set(built, SetId::kFixed4)),
            (Texts{"8.8.8.8 tcp/50-52", "8.8.8.8 tcp/54-60", "8.8.8.8 udp/50-52", "8.8.8.8 udp/54-60"}));
  EXPECT_EQ(describe(of_set(built, SetId::kResolvers4)), (Texts{"8.8.8.8 tcp/53", "8.8.8.8 udp/53"}));
}

TEST(ImageElements, ADeniedResolverIsNone) {
  Policy policy = policy_of({}, {"udp://8.8.8.8:53"});
  policy.dns.resolvers = {{address_of("8.8.8.8"), Port{53}}};
  EXPECT_EQ(describe(of_set(build(compile(policy)), SetId::kResolvers4)), (Texts{"8.8.8.8 tcp/53"}));
}

TEST(ImageElements, WhatIsDeniedOnLoopbackIsClosed) {
  Policy policy = policy_of({}, {"tcp://127.0.0.1:25", "*://[::1]:1-1023", "tcp://*:7", "10.0.0.0/8"});
  for (const Loopback loopback : {Loopback::kOwn, Loopback::kAny}) {
    policy.loopback = loopback;
    const ImageElements built = build(compile(policy));
    EXPECT_EQ(of_set(built, SetId::kLoopbackAny).size() + of_set(built, SetId::kLoopbackOwn).size(), 1u);
    EXPECT_EQ(describe(of_set(built, SetId::kClosed4)), (Texts{"0.0.0.0 tcp/7", "127.0.0.0 tcp/7", "127.0.0.1 tcp/7",
                                                               "127.0.0.1 tcp/25", "127.0.0.2-127.255.255.255 tcp/7"}));
    EXPECT_EQ(describe(of_set(built, SetId::kClosed6)), (Texts{":: tcp/7", "::1 tcp/1-1023", "::1 udp/1-1023"}));
  }
  policy.loopback = Loopback::kNone;
  EXPECT_TRUE(of_set(build(compile(policy)), SetId::kClosed4).empty());
}

// Spin's profile cuts the ports of an open policy into four wide classes by loopback, which names never open.
TEST(ImageElements, PortsThatOnlyLoopbackTellsApartAreOneWideSet) {
  HostPolicy host;
  host.blocks = {{rule_of("*://127.0.0.0/8:1-1023", EndpointUse::kDeny), {}}};
  EXPECT_EQ(build(compile(policy_of({"*://a.test:*", "*://b.test:*"}), host)).wide.size(), 1u);
}

TEST(ImageElements, MoreThanFourWidePortSetsAreAnErrorThatNamesOne) {
  const Policy policy = policy_of({"tcp://a.test:1000-1100", "tcp://b.test:2000-2100", "tcp://c.test:3000-3100",
                                   "tcp://d.test:4000-4100", "tcp://e.test:5000-5100"});
  const auto built = build_image_elements(compile(policy));
  ASSERT_FALSE(built.has_value());
  EXPECT_EQ(built.error().kind, ErrorKind::kLimit);
  EXPECT_NE(built.error().what.find("tcp/5000-5100"), std::string::npos) << built.error().what;
}

TEST(ImageElements, PortsThatNoRuleTellsApartAreOneWideSet) {
  Policy policy = policy_of({"tcp://a.test:*", "tcp://b.test:443"});
  policy.listen = PortSet({{Protocol::kTcp, Port{2000}, Port{3000}}});  // cuts a.test's class in two
  EXPECT_EQ(build(compile(policy)).wide.size(), 1u);
}

TEST(GrantParts, HaveTheLatestDeadlineOfTheNamesThatShareTheAddress) {
  const PolicyImage image = compile(policy_of({"tcp://a.test:443", "tcp://b.test:443,80"}));
  const PortMask https = image.mask_of(Protocol::kTcp, Port{443}), http = image.mask_of(Protocol::kTcp, Port{80});
  const auto parts = build_grant_parts(
      image, build(image), address_of("192.0.2.1"),
      {grant("a.test", "192.0.2.1", https, 30s), grant("b.test", "192.0.2.1", https | http, 20s)}, kNow);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].part.port, 80);
  EXPECT_EQ(parts[0].part.deadline, kNow + 20s);
  EXPECT_EQ(parts[0].comment, to_comment({"b.test", 0, "b.test:80,443"}));
  EXPECT_EQ(parts[1].part.port, 443);
  EXPECT_EQ(parts[1].part.deadline, kNow + 30s);
  EXPECT_EQ(parts[1].comment, to_comment({"a.test", 1, "a.test:443"}));
}

TEST(GrantParts, ADeniedPortNeverBecomesAnElement) {
  const PolicyImage image = compile(policy_of({"tcp://a.test:443,80"}, {"tcp://192.0.2.0/24:80"}));
  const auto parts =
      build_grant_parts(image, build(image), address_of("192.0.2.1"),
                        {grant("a.test", "192.0.2.1", decide_name(image, name_of("a.test")).allow, 30s)}, kNow);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].part.port, 443);
}

TEST(GrantParts, ExpiredGrantsAndNotesAreNone) {
  const PolicyImage image = compile(policy_of({"tcp://a.test:443"}));
  Grant note = grant("a.test", "192.0.2.1", kAllPorts, 30s);
  note.note = NW_REASON_PRIVATE_ANSWER;
  EXPECT_TRUE(build_grant_parts(image, build(image), address_of("192.0.2.1"),
                                {note, grant("a.test", "192.0.2.1", kAllPorts, 0s)}, kNow)
                  .empty());
}

TEST(GrantParts, AWideSetIsOneElementForEachProtocol) {
  const PolicyImage image = compile(policy_of({"*://a.test:1000-2000"}));
  const auto parts =
      build_grant_parts(image, build(image), address_of("2001:db8::1"),
                        {grant("a.test", "2001:db8::1", decide_name(image, name_of("a.test")).allow, 30s)}, kNow);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].part.set, SetId::kWide1_6);
  EXPECT_EQ(parts[0].part.ip_protocol, IPPROTO_TCP);
  EXPECT_EQ(parts[1].part.ip_protocol, IPPROTO_UDP);
}

TEST(DescribedRule, IsAsARuleIsWritten) {
  const PolicyImage image = compile(policy_of({"tcp://*.a.test:443", "tcp://**.b.test:80,443", "*://c.test:53"}));
  EXPECT_EQ(describe_rule(image, name_of("x.a.test")), "*.a.test:443");
  EXPECT_EQ(describe_rule(image, name_of("x.b.test")), "**.b.test:80,443");
  EXPECT_EQ(describe_rule(image, name_of("x.y.b.test")), "**.b.test:80,443");
  EXPECT_EQ(describe_rule(image, name_of("c.test")), "c.test tcp+udp/53");
  EXPECT_EQ(describe_rule(image, name_of("d.test")), "");
}

CommentedPart part(std::uint16_t port, Nanoseconds left, const std::string& comment = "a") {
  return {{.ip_protocol = IPPROTO_TCP, .port = port, .deadline = kNow + left, .comment_hash = comment[0] * 1ull},
          comment};
}
HeldPart held(std::uint16_t port, Nanoseconds left, Nanoseconds ago, const std::string& comment = "a") {
  return {part(port, left, comment).part, BootTime{kNow.since_boot - ago}};
}

TEST(PartChanges, WaitWhileMoreThanHalfOfTheTimeIsLeft) {
  const PartChanges changes = changes_between({held(443, 60s, 40s)}, {part(443, 70s)}, kNow);
  EXPECT_TRUE(changes.empty());
  EXPECT_EQ(changes.due, kNow + 10s);
}

TEST(PartChanges, RenewWhatHasLessThanHalfOfItsTimeLeft) {
  EXPECT_EQ(changes_between({held(443, 40s, 60s)}, {part(443, 70s)}, kNow).renew.size(), 1u);
}

TEST(PartChanges, RenewAtOnceWhatGrowsByMuch) {
  EXPECT_EQ(changes_between({held(443, 60s, 0s)}, {part(443, 120s)}, kNow).renew.size(), 1u);
}

TEST(PartChanges, NeverLeaveAShorterDeadlineForLater) {
  EXPECT_EQ(changes_between({held(443, 60s, 0s)}, {part(443, 59s)}, kNow).renew.size(), 1u);
}

TEST(PartChanges, ReplaceWhatHasAnotherCommentIsOverOrHasATimeoutNoMore) {
  EXPECT_EQ(changes_between({held(443, 60s, 0s)}, {part(443, 60s, "b")}, kNow).replace.size(), 1u);
  EXPECT_EQ(changes_between({held(443, 0s, 60s)}, {part(443, 60s)}, kNow).replace.size(), 1u);
  CommentedPart forever = part(443, 0s);
  forever.part.deadline = kNever;
  EXPECT_EQ(changes_between({held(443, 60s, 0s)}, {forever}, kNow).replace.size(), 1u);
}

TEST(PartChanges, AddAndRemove) {
  const PartChanges changes =
      changes_between({held(22, 60s, 0s), held(443, 60s, 0s)}, {part(80, 60s), part(443, 60s)}, kNow);
  ASSERT_EQ(changes.add.size(), 1u);
  EXPECT_EQ(changes.add[0].part.port, 80);
  ASSERT_EQ(changes.remove.size(), 1u);
  EXPECT_EQ(changes.remove[0].port, 22);
  EXPECT_TRUE(changes.renew.empty());
}

// ---- against the model ----

TEST(RandomElements, SayWhatTheModelSays) {
  int compared = 0, allowed = 0, limits = 0;
  for (std::uint32_t seed = 0; seed < 600; ++seed) {
    PolicyGenerator random(seed);
    RandomPolicy made = random.policy();
    made.policy.mode = Mode::kEnforce;
    const PolicyImage image = compile(made.policy, made.host, made.system);
    if (!build_image_elements(image)) {
      ++limits;
      continue;
    }
    GrantTable grants(1024);
    for (int i = 0; i < 40; ++i) {
      const DomainName name = random.name();
      const NameDecision decision = decide_name(image, name);
      const Address address = random.address();
      const BootTime deadline = kNow + std::chrono::seconds(static_cast<int>(random.below(60)) - 10);
      grants.learn({{.name = name, .address = address, .deadline = deadline, .ports = decision.allow & kAllPorts}},
                   BootTime{kNow.since_boot - 20s});
    }
    Result<TableDouble> table = TableDouble::make(image);
    ASSERT_TRUE(table.has_value());
    for (const Grant& one : grants.all()) table->update(one.address, grants.find(one.address, kNow), kNow);
    for (int i = 0; i < 200; ++i) {
      Destination to{random.protocol(), random.chance(5) ? address_of("192.0.2.53") : random.address(), random.port()};
      if (to.protocol == Protocol::kIcmp) to.port = Port{};
      const auto listener = random.chance(50) ? LoopbackListener::kOwn : LoopbackListener::kForeign;
      const Verdict verdict = judge(image, grants, to, kNow, listener);
      const bool says = table->allows(to, listener, kNow);
      EXPECT_LE(table->fixed_ranges_at(to), 1) << to.to_string();
      ASSERT_EQ(says, verdict.allowed) << "seed " << seed << " " << to.to_string() << " " << verdict.walk.back().detail;
      ++compared;
      allowed += verdict.allowed;
    }
  }
  EXPECT_GT(compared, 50000);
  EXPECT_GT(allowed, 3000);
  EXPECT_LT(limits, 100);
}

}  // namespace
}  // namespace namewall::nft
