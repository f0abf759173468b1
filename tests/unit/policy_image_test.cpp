#include "policy/policy_image.h"

#include <gtest/gtest.h>

#include <chrono>

#include "policy/host_rules.h"
#include "policy/image_hash.h"
#include "policy/learning.h"
#include "tests/support/dns_builder.h"
#include "tests/support/random_policy.h"

namespace namewall {
namespace {

using namewall::testing::address_of;
using namewall::testing::name_of;
using namewall::testing::PolicyGenerator;
using namewall::testing::RandomPolicy;
using namewall::testing::rule_of;

struct Arranged {
  Policy policy;
  HostPolicy host;
  ResolvConf system;
};

Arranged arrange(const std::vector<std::string>& allow, const std::vector<std::string>& deny = {}) {
  Arranged arranged;
  arranged.policy.origin = {"test.toml", 1, 1};
  std::uint32_t line = 1;
  for (const std::string& text : allow) arranged.policy.allow.push_back(rule_of(text, EndpointUse::kAllow, ++line));
  for (const std::string& text : deny) arranged.policy.deny.push_back(rule_of(text, EndpointUse::kDeny, ++line));
  return arranged;
}

PolicyImage compile(const Arranged& arranged) {
  Result<PolicyImage> image = compile_policy(arranged.policy, arranged.host, arranged.system);
  EXPECT_TRUE(image.has_value()) << image.error().what;
  return image.has_value() ? *std::move(image) : PolicyImage{};
}

// "tcp/443", with " private tcp/443" behind it where private answers teach, "ask only", "refused".
std::string describe(const PolicyImage& image, const std::string& name) {
  const NameDecision decision = decide_name(image, name_of(name));
  if (!decision.may_ask()) return "refused";
  if (!decision.teaches()) return "ask only";
  std::string text = image.ports_of(decision.allow).to_string();
  if (decision.allow_private != 0) text += " private " + image.ports_of(decision.allow_private).to_string();
  return text;
}

std::string describe(const PolicyImage& image, const Address& address) {
  const AddressDecision decision = decide_address(image, address);
  return "allow " + image.ports_of(decision.allow).to_string() + ", deny " + image.ports_of(decision.deny).to_string() +
         ", host deny " + image.ports_of(decision.host_deny).to_string();
}

// ---- the same questions answered straight from the rules ----

bool speaks_of(const Rule& rule, const DomainName& name) {
  const auto* pattern = std::get_if<NamePattern>(&rule.endpoint.host);
  return std::holds_alternative<AnyHost>(rule.endpoint.host) || (pattern != nullptr && pattern->matches(name));
}

bool speaks_of(const Rule& rule, const Address& address) {
  const auto* prefix = std::get_if<Prefix>(&rule.endpoint.host);
  return std::holds_alternative<AnyHost>(rule.endpoint.host) || (prefix != nullptr && prefix->contains(address));
}

template <typename Subject>
PortSet ports_for(const std::vector<Rule>& rules, const Subject& subject) {
  PortSet ports;
  for (const Rule& rule : rules) {
    if (speaks_of(rule, subject)) ports = ports.united(rule.endpoint.ports);
  }
  return ports;
}

std::vector<Rule> with_private(const std::vector<Rule>& rules) {
  std::vector<Rule> kept;
  std::copy_if(rules.begin(), rules.end(), std::back_inserter(kept),
               [](const Rule& rule) { return rule.endpoint.permits_private; });
  return kept;
}

bool is_search_form(const RandomPolicy& random, const DomainName& name) {
  for (const Rule& rule : random.policy.allow) {
    const auto* pattern = std::get_if<NamePattern>(&rule.endpoint.host);
    if (pattern == nullptr) continue;
    for (const DomainName& domain : random.system.search) {
      if (pattern->with_suffix(domain).matches(name)) return true;
    }
  }
  return false;
}

std::string describe_by_rules(const RandomPolicy& random, const DomainName& name) {
  std::vector<Rule> denies = random.policy.deny;
  for (const Rule& rule : host_denies_for(random.host, random.policy.name)) denies.push_back(rule);
  const bool may_not_even_be_asked = std::any_of(denies.begin(), denies.end(), [&](const Rule& rule) {
    return speaks_of(rule, name) && rule.endpoint.ports == PortSet::all();
  });
  const auto is_private_name = [&](const Rule& rule) { return speaks_of(rule, name); };
  const PortSet denied = ports_for(denies, name);
  const PortSet allowed = ports_for(random.policy.allow, name).minus(denied);
  const bool all_private =
      std::any_of(random.host.private_names.begin(), random.host.private_names.end(), is_private_name);
  const PortSet allowed_private =
      all_private ? allowed : ports_for(with_private(random.policy.allow), name).minus(denied);
  if (allowed.empty()) return is_search_form(random, name) && !may_not_even_be_asked ? "ask only" : "refused";
  return allowed.to_string() + (allowed_private.empty() ? "" : " private " + allowed_private.to_string());
}

// Rules shorter than a loopback prefix allow nothing in it.
std::vector<Rule> inside_loopback(const std::vector<Rule>& rules) {
  std::vector<Rule> kept;
  std::copy_if(rules.begin(), rules.end(), std::back_inserter(kept), [](const Rule& rule) {
    const auto* prefix = std::get_if<Prefix>(&rule.endpoint.host);
    return prefix != nullptr && prefix->is_single();  // as all loopback prefixes of PolicyGenerator are
  });
  return kept;
}

// Of the blocks those that spare the own loopback, and the others.
std::vector<Rule> blocks_that(bool spare_loopback, const RandomPolicy& random) {
  std::vector<Rule> kept;
  for (const Rule& rule : blocks_for(random.host, random.policy.name)) {
    if (spares_own_loopback(rule) == spare_loopback) kept.push_back(rule);
  }
  return kept;
}

std::string describe_by_rules(const RandomPolicy& random, const Address& address) {
  const bool is_loopback = is_loopback_destination(address);
  const std::vector<Rule> foreign = blocks_that(true, random);
  PortSet allow = ports_for(is_loopback ? inside_loopback(random.policy.allow) : random.policy.allow, address);
  PortSet blocked = ports_for(blocks_that(false, random), address);
  if (is_loopback) {
    const bool opens = random.policy.loopback == Loopback::kAny && foreign.empty();
    if (opens && !may_listen(random.host, random.policy.name)) allow = PortSet::all();
    allow = allow.minus(ports_for(foreign, address));
  } else {
    blocked = blocked.united(ports_for(foreign, address));
  }
  for (const ResolverAddress& resolver : random.system.nameservers) {
    const PortSet both(
        {{Protocol::kTcp, resolver.port, resolver.port}, {Protocol::kUdp, resolver.port, resolver.port}});
    if (resolver.address == address) blocked = blocked.minus(both);
  }
  return "allow " + allow.to_string() + ", deny " + ports_for(random.policy.deny, address).to_string() +
         ", host deny " + ports_for(random.host.deny, address).united(blocked).to_string();
}

std::string show(const RandomPolicy& random) {
  std::string text;
  const auto list = [&text](const char* title, const std::vector<Rule>& rules) {
    for (const Rule& rule : rules) {
      text += std::string(title) + rule.endpoint.text + (rule.endpoint.permits_private ? "?private" : "") + "\n";
    }
  };
  list("allow ", random.policy.allow);
  list("deny ", random.policy.deny);
  list("host deny ", random.host.deny);
  text += blocks_text(random.host);
  list("private ", random.host.private_names);
  for (const DomainName& domain : random.system.search) text += "search " + domain.text() + "\n";
  return text;
}

TEST(PolicyImage, DecidesRandomNamesAsTheRulesDo) {
  std::size_t allowed = 0, asked = 0, refused = 0;
  for (std::uint32_t seed = 0; seed < 600; ++seed) {
    PolicyGenerator generator(seed);
    const RandomPolicy random = generator.policy();
    const PolicyImage image = compile({random.policy, random.host, random.system});
    for (int i = 0; i < 60; ++i) {
      const DomainName name = generator.name();
      const std::string by_rules = describe_by_rules(random, name);
      ASSERT_EQ(describe(image, name.text()), by_rules) << name.text() << " seed " << seed << "\n" << show(random);
      (by_rules == "refused" ? refused : by_rules == "ask only" ? asked : allowed)++;
    }
  }
  EXPECT_GT(allowed, 2000u);
  EXPECT_GT(asked, 100u);
  EXPECT_GT(refused, 5000u);
}

TEST(PolicyImage, DecidesRandomAddressesAsTheRulesDo) {
  for (std::uint32_t seed = 0; seed < 600; ++seed) {
    PolicyGenerator generator(seed);
    const RandomPolicy random = generator.policy();
    const PolicyImage image = compile({random.policy, random.host, random.system});
    for (int i = 0; i < 20; ++i) {
      const Address address = generator.chance(10) ? address_of("192.0.2.53") : generator.address();
      ASSERT_EQ(describe(image, address), describe_by_rules(random, address))
          << address.to_string() << " seed " << seed << "\n"
          << show(random);
    }
  }
}

TEST(PolicyImage, AllowsNothingWithoutRules) {
  const PolicyImage image = compile(arrange({}));
  EXPECT_EQ(describe(image, "example.com"), "refused");
  EXPECT_EQ(decide_address(image, address_of("192.0.2.1")).allow, 0u);
}

TEST(PolicyImage, ExactNamesOpenNeitherParentsNorChildren) {
  const PolicyImage image = compile(arrange({"www.example.com"}));
  EXPECT_EQ(describe(image, "www.example.com"), "tcp/443");
  for (const char* name : {"example.com", "com", "a.www.example.com", "wwww.example.com", "www.example.co"}) {
    EXPECT_EQ(describe(image, name), "refused") << name;
  }
}

TEST(PolicyImage, WildcardsReachOneLabelAndDoubleWildcardsAnyNumber) {
  const PolicyImage image = compile(arrange({"*.one.example", "**.any.example"}));
  EXPECT_EQ(describe(image, "a.one.example"), "tcp/443");
  EXPECT_EQ(describe(image, "b.a.one.example"), "refused");
  EXPECT_EQ(describe(image, "one.example"), "refused");
  EXPECT_EQ(describe(image, "a.any.example"), "tcp/443");
  EXPECT_EQ(describe(image, "c.b.a.any.example"), "tcp/443");
  EXPECT_EQ(describe(image, "any.example"), "refused");
}

TEST(PolicyImage, NodesHoldWhatTheirAncestorsSay) {
  const PolicyImage image = compile(
      arrange({"tcp://**.example.com:1", "tcp://*.example.com:2", "tcp://a.example.com:3", "tcp://*.a.example.com:4"}));
  EXPECT_EQ(describe(image, "a.example.com"), "tcp/1-3");
  EXPECT_EQ(describe(image, "b.example.com"), "tcp/1-2");
  EXPECT_EQ(describe(image, "x.a.example.com"), "tcp/1,4");
  EXPECT_EQ(describe(image, "y.x.a.example.com"), "tcp/1");
}

TEST(PolicyImage, InnerWildcardsDecideByEveryPatternThatMatches) {
  const PolicyImage image =
      compile(arrange({"tcp://a*.example.com:1", "tcp://*b.example.com:2", "tcp://*.s3.*.aws.example:3"}));
  EXPECT_EQ(describe(image, "ab.example.com"), "tcp/1-2");
  EXPECT_EQ(describe(image, "ac.example.com"), "tcp/1");
  EXPECT_EQ(describe(image, "cc.example.com"), "refused");
  EXPECT_EQ(describe(image, "bucket.s3.eu.aws.example"), "tcp/3");
  EXPECT_EQ(describe(image, "s3.eu.aws.example"), "refused");
}

TEST(PolicyImage, DenyByNameSubtractsItsPortsFromThatName) {
  const PolicyImage image =
      compile(arrange({"tcp://**.example.com:22,443"}, {"tcp://a.example.com:22", "b.example.com"}));
  EXPECT_EQ(describe(image, "a.example.com"), "tcp/443");
  EXPECT_EQ(describe(image, "b.example.com"), "refused");
  EXPECT_EQ(describe(image, "c.example.com"), "tcp/22,443");
  EXPECT_EQ(describe(image, "x.b.example.com"), "tcp/22,443");
}

TEST(PolicyImage, ANameWithoutAPortLeftMayNotBeAsked) {
  const PolicyImage image = compile(arrange({"tcp://a.example:443"}, {"tcp://a.example:443"}));
  EXPECT_EQ(describe(image, "a.example"), "refused");
}

TEST(PolicyImage, HostDeniesBeatAllowedNames) {
  Arranged arranged = arrange({"**.example.com"});
  arranged.host.deny.push_back(rule_of("a*.example.com", EndpointUse::kDeny));
  const PolicyImage image = compile(arranged);
  EXPECT_EQ(describe(image, "ab.example.com"), "refused");
  EXPECT_EQ(describe(image, "b.example.com"), "tcp/443");
}

TEST(PolicyImage, SearchListFormsMayOnlyBeAsked) {
  Arranged arranged = arrange({"www.example.com", "*.a.example", "x*.b.example"});
  arranged.system.search = {name_of("corp.test")};
  arranged.policy.dns.search = {name_of("lab.test")};
  const PolicyImage image = compile(arranged);
  for (const char* name :
       {"www.example.com.corp.test", "www.example.com.lab.test", "q.a.example.corp.test", "xy.b.example.lab.test"}) {
    EXPECT_EQ(describe(image, name), "ask only") << name;
  }
  EXPECT_EQ(describe(image, "other.example.com.corp.test"), "refused");
  EXPECT_EQ(describe(image, "www.example.com.corp.test.lab.test"), "refused");
}

TEST(PolicyImage, SearchListOfTheSystemIsLeftOutWhereThePolicySaysSo) {
  Arranged arranged = arrange({"www.example.com"});
  arranged.system.search = {name_of("corp.test")};
  arranged.policy.dns.search_from_system = false;
  EXPECT_EQ(describe(compile(arranged), "www.example.com.corp.test"), "refused");
}

TEST(PolicyImage, SearchListFormsSurviveDeniesOfSomePortsButNotABareDeny) {
  Arranged arranged = arrange({"www.example.com"}, {"tcp://www.example.com.a.test:*", "www.example.com.b.test"});
  arranged.system.search = {name_of("a.test"), name_of("b.test")};
  const PolicyImage image = compile(arranged);
  EXPECT_EQ(describe(image, "www.example.com.a.test"), "ask only");
  EXPECT_EQ(describe(image, "www.example.com.b.test"), "refused");
}

TEST(PolicyImage, SearchListFormsLongerThanANameAreLeftOut) {
  const std::string label(61, 'a');
  const std::string name = label + "." + label + "." + label + "." + label;  // 247 characters
  Arranged arranged = arrange({name});
  arranged.system.search = {name_of("abc"), name_of("abcd")};
  const PolicyImage image = compile(arranged);
  EXPECT_EQ(describe(image, name + ".abc"), "ask only");
  EXPECT_EQ(image.names.size(), 2u);
}

TEST(PolicyImage, PrivateAnswersAreForRulesThatSaySo) {
  const PolicyImage image = compile(arrange({"tcp://a.example:443?private", "tcp://a.example:80", "b.example"}));
  EXPECT_EQ(describe(image, "a.example"), "tcp/80,443 private tcp/443");
  EXPECT_EQ(describe(image, "b.example"), "tcp/443");
}

TEST(PolicyImage, PrivateNamesOfTheHostHavePrivateAnswersOnTheirAllowedPortsOnly) {
  Arranged arranged = arrange({"tcp://*.example:443,80"}, {"tcp://a.example:80"});
  arranged.host.private_names.push_back(rule_of("a*.example", EndpointUse::kDeny));
  const PolicyImage image = compile(arranged);
  EXPECT_EQ(describe(image, "a.example"), "tcp/443 private tcp/443");
  EXPECT_EQ(describe(image, "ab.example"), "tcp/80,443 private tcp/80,443");
  EXPECT_EQ(describe(image, "b.example"), "tcp/80,443");
  EXPECT_EQ(describe(image, "a.b.example"), "refused");
}

TEST(PolicyImage, TheAnyHostRuleOpensEveryNameAndAddressOnItsPorts) {
  const PolicyImage image = compile(arrange({"udp://*:123"}));
  EXPECT_EQ(describe(image, "com"), "udp/123");
  EXPECT_EQ(describe(image, "a.b.example.com"), "udp/123");
  EXPECT_EQ(image.ports_of(decide_address(image, address_of("203.0.113.9")).allow).to_string(), "udp/123");
  EXPECT_EQ(image.ports_of(decide_address(image, address_of("2001:db8::9")).allow).to_string(), "udp/123");
}

TEST(PolicyImage, BroadRulesDoNotOpenLoopbackButDeniesReachIt) {
  const PolicyImage image =
      compile(arrange({"tcp://*:1", "tcp://0.0.0.0/0:2", "tcp://127.0.0.1:3", "tcp://[::1]:4"}, {"tcp://*:3"}));
  EXPECT_EQ(describe(image, address_of("127.0.0.1")), "allow tcp/3, deny tcp/3, host deny ");
  for (const char* loopback : {"127.9.9.9", "0.0.0.0", "::"}) {
    EXPECT_EQ(describe(image, address_of(loopback)), "allow , deny tcp/3, host deny ") << loopback;
  }
  EXPECT_EQ(describe(image, address_of("::1")), "allow tcp/4, deny tcp/3, host deny ");
  EXPECT_EQ(describe(image, address_of("::2")), "allow tcp/1, deny tcp/3, host deny ");
  EXPECT_EQ(describe(image, address_of("0.0.0.1")), "allow tcp/1-2, deny tcp/3, host deny ");
}

TEST(PolicyImage, RulesInsideLoopbackReachTheirLongerOnes) {
  const PolicyImage image = compile(arrange({"tcp://127.0.0.0/8:1", "tcp://127.0.0.1:2"}));
  EXPECT_EQ(describe(image, address_of("127.0.0.1")), "allow tcp/1-2, deny , host deny ");
}

TEST(PolicyImage, AddressFamiliesAreApart) {
  const PolicyImage image = compile(arrange({"*://[::]/0:443"}));
  EXPECT_NE(decide_address(image, address_of("2001:db8::1")).allow, 0u);
  EXPECT_EQ(decide_address(image, address_of("192.0.2.1")).allow, 0u);
}

TEST(PolicyImage, TellsEveryPortApartThatARuleTellsApart) {
  const PolicyImage image = compile(arrange({"tcp://a.example:443", "*://b.example:400-500", "icmp://c.example"}));
  EXPECT_EQ(image.mask_of(Protocol::kTcp, Port{400}), image.mask_of(Protocol::kUdp, Port{500}));
  EXPECT_NE(image.mask_of(Protocol::kTcp, Port{443}), image.mask_of(Protocol::kUdp, Port{443}));
  EXPECT_NE(image.mask_of(Protocol::kIcmp, Port{0}), image.mask_of(Protocol::kTcp, Port{0}));
  EXPECT_EQ(image.mask_of(Protocol::kTcp, Port{1}), image.mask_of(Protocol::kUdp, Port{65535}));
  EXPECT_EQ(describe(image, "c.example"), "icmp");
}

TEST(PolicyImage, AMaskGivesBackItsPorts) {
  const PolicyImage image = compile(arrange({"*://a.example:1-1023", "tcp://b.example:443", "icmp://c.example"}));
  const PortSet set({{Protocol::kTcp, Port{443}, Port{443}}});
  EXPECT_EQ(image.ports_of(image.mask_of(set)), set);
  EXPECT_EQ(image.ports_of(image.mask_of(PortSet::all())), PortSet::all());
  EXPECT_EQ(image.ports_of(0), PortSet());
}

std::string why_it_does_not_compile(const Arranged& arranged) {
  const Result<PolicyImage> image = compile_policy(arranged.policy, arranged.host, arranged.system);
  if (image) return "";
  EXPECT_EQ(image.error().kind, ErrorKind::kLimit);
  return image.error().what;
}

TEST(PolicyImage, NamesTheRuleThatNeedsTheFortiethClassOfPorts) {
  // 38 ports of their own and one class for the rest.
  std::vector<std::string> rules;
  for (int i = 0; i < 38; ++i) rules.push_back("tcp://a.example:" + std::to_string(10 + i));
  EXPECT_EQ(why_it_does_not_compile(arrange(rules)), "");
  rules.push_back("tcp://a.example:9000");
  rules.push_back("tcp://a.example:9001");
  EXPECT_TRUE(why_it_does_not_compile(arrange(rules)).starts_with("test.toml:40:1: `tcp://a.example:9000`"));
}

TEST(PolicyImage, NamesTheRuleThatNeedsTooManyIntervals) {
  const auto every_second_port = [](int count) {
    std::string ports;
    for (int i = 0; i < count; ++i) ports += (i == 0 ? "" : ",") + std::to_string(2 * i + 1);
    return "tcp://a.example:" + ports;
  };
  EXPECT_EQ(why_it_does_not_compile(arrange({every_second_port(127)})), "");
  EXPECT_TRUE(why_it_does_not_compile(arrange({every_second_port(128)})).starts_with("test.toml:2:1: "));
}

TEST(PolicyImage, OneInnerWildcardTooManyForTheKernelGoesByTheProxy) {
  std::vector<std::string> rules;
  for (int i = 0; i < 16; ++i) rules.push_back("a*" + std::to_string(i) + ".example.com");
  EXPECT_EQ(why_it_does_not_compile(arrange(rules)), "");
  rules.push_back("z*.example.com");
  Arranged arranged = arrange(rules);
  const PolicyImage image = compile(arranged);
  EXPECT_EQ(image.learn, Learn::kProxy);
  EXPECT_EQ(image.learn_why,
            "the kernel matches at most 16 patterns with inner wildcards under `example.com`, and test.toml:18:1: "
            "`z*.example.com` is one more");
  EXPECT_FALSE(kernel_holds_names(image));
  EXPECT_TRUE(decide_name(image, name_of("zz.example.com")).teaches());
  EXPECT_TRUE(decide_name(image, name_of("ax0.example.com")).teaches());
  EXPECT_FALSE(decide_name(image, name_of("y.example.com")).may_ask());
  arranged.policy.dns.learn = Learn::kKernel;
  EXPECT_EQ(compile_policy(arranged.policy, arranged.host, arranged.system).error().kind, ErrorKind::kInvalid);
}

TEST(PolicyImage, LearnsByTheKernelUnlessSomethingNeedsTheProxy) {
  Arranged arranged = arrange({"a.example"});
  EXPECT_EQ(compile(arranged).learn, Learn::kKernel);
  EXPECT_EQ(compile(arranged).learn_why, "");
  const auto needs = [&](auto change) {
    Arranged changed = arranged;
    change(changed.policy.dns);
    const PolicyImage image = compile(changed);
    changed.policy.dns.learn = Learn::kKernel;
    changed.policy.dns.learn_origin = {"p.toml", 4, 9};
    const auto refused = compile_policy(changed.policy, changed.host, changed.system);
    EXPECT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().what, "p.toml:4:9: `learn = \"kernel\"` cannot be: " + image.learn_why +
                                        "; leave `learn` out, or write \"proxy\"");
    return image.learn == Learn::kProxy ? image.learn_why.substr(0, image.learn_why.find('`', 1)) : "kernel";
  };
  EXPECT_EQ(needs([](DnsSettings& dns) { dns.retain = Retain::kUntilNextAnswer; }), "`retain = \"until-next-answer\"");
  EXPECT_EQ(needs([](DnsSettings& dns) { dns.hints = Hints::kStrip; }), "`hints = \"strip\"");
  EXPECT_EQ(needs([](DnsSettings& dns) { dns.ech = Ech::kStrip; }), "`ech = \"strip\"");
  arranged.policy.dns.learn = Learn::kProxy;
  EXPECT_EQ(compile(arranged).learn, Learn::kProxy);
  EXPECT_EQ(compile(arranged).learn_why, "");
}

TEST(PolicyImage, IsForTheHostsBackendUnlessThePolicySays) {
  Arranged arranged = arrange({"a.example"});
  EXPECT_EQ(compile(arranged).backend, Backend::kBpf);
  arranged.host.backend = Backend::kNft;
  EXPECT_EQ(compile(arranged).backend, Backend::kNft);
  EXPECT_NE(hash_of(compile(arranged)), hash_of(compile(arrange({"a.example"}))));
  arranged.policy.backend = Backend::kBpf;
  EXPECT_EQ(compile(arranged).backend, Backend::kBpf);
}

TEST(PolicyImage, OfNftablesLearnsByTheProxy) {
  Arranged arranged = arrange({"a.example"});
  arranged.policy.backend = Backend::kNft;
  PolicyImage image = compile(arranged);
  EXPECT_EQ(image.learn, Learn::kProxy);
  EXPECT_EQ(image.learn_why, "nftables cannot read DNS answers");
  arranged.policy.dns.retain = Retain::kUntilNextAnswer;
  image = compile(arranged);
  EXPECT_TRUE(choose_learning(image, false).has_value());  // it asks nothing of BPF
  arranged.policy.dns.learn = Learn::kKernel;
  arranged.policy.dns.learn_origin = {"p.toml", 4, 9};
  EXPECT_EQ(compile_policy(arranged.policy, arranged.host, arranged.system).error().what,
            "p.toml:4:9: `learn = \"kernel\"` cannot be: nftables cannot read DNS answers; leave `learn` out, or "
            "write \"proxy\"");
}

TEST(PolicyImage, AKernelThatCannotLearnMakesItTheProxyUnlessThePolicyForbids) {
  Arranged arranged = arrange({"a.example"});
  PolicyImage image = compile(arranged);
  ASSERT_TRUE(choose_learning(image, true).has_value());
  EXPECT_EQ(image, compile(arranged));
  ASSERT_TRUE(choose_learning(image, false).has_value());
  EXPECT_EQ(image.learn, Learn::kProxy);
  EXPECT_NE(image.learn_why, "");
  arranged.policy.dns.learn = Learn::kKernel;
  PolicyImage written = compile(arranged);
  EXPECT_EQ(choose_learning(written, false).error().kind, ErrorKind::kUnsupported);
  PolicyImage replacing = image;
  replacing.learn = Learn::kProxy;
  replacing.retain = Retain::kUntilNextAnswer;
  EXPECT_EQ(choose_learning(replacing, false).error().kind, ErrorKind::kUnsupported);
  EXPECT_TRUE(choose_learning(replacing, true).has_value());
  EXPECT_TRUE(choose_learning(written, true).has_value());
}

TEST(PolicyImage, TheAgentLooksUpExactNamesThatTeach) {
  Arranged arranged =
      arrange({"b.example?resolve=agent", "a.example", "*.c.example", "192.0.2.1", "d.example"}, {"d.example"});
  const auto names = [&] {
    std::string text;
    for (const DomainName& name : compile(arranged).agent_names) text += name.text() + " ";
    return text;
  };
  EXPECT_EQ(names(), "b.example ");
  arranged.policy.dns.resolve = Resolve::kAgent;
  EXPECT_EQ(names(), "a.example b.example ");
}

TEST(PolicyImage, InnerWildcardsThatCannotMeetADeeperNodeDoNotCountThere) {
  std::vector<std::string> rules = {"*.x.example.com"};
  for (int i = 0; i < 16; ++i) rules.push_back("a*" + std::to_string(i) + ".example.com");
  rules.push_back("z*.x.example.com");
  EXPECT_EQ(why_it_does_not_compile(arrange(rules)), "");
}

TEST(PolicyImage, TakesTheResolversOfTheSystemFirstAndNoneTwice) {
  Arranged arranged = arrange({});
  arranged.system.nameservers = {{address_of("192.0.2.53"), Port{53}}};
  arranged.policy.dns.resolvers = {{address_of("192.0.2.54"), Port{5353}}, {address_of("192.0.2.53"), Port{53}}};
  const PolicyImage image = compile(arranged);
  ASSERT_EQ(image.resolvers.size(), 2u);
  EXPECT_EQ(image.resolvers[0], arranged.system.nameservers[0]);
  EXPECT_EQ(image.resolvers[1], arranged.policy.dns.resolvers[0]);
  EXPECT_EQ(image.system_resolvers, 1u);
  arranged.policy.dns.resolvers_from_system = false;
  EXPECT_EQ(compile(arranged).resolvers[0], arranged.policy.dns.resolvers[0]);
  EXPECT_EQ(compile(arranged).system_resolvers, 0u);
}

TEST(PolicyImage, RefusesMoreThanEightResolvers) {
  Arranged arranged = arrange({});
  for (std::uint16_t i = 0; i < 8; ++i) arranged.policy.dns.resolvers.push_back({address_of("192.0.2.53"), Port{i}});
  EXPECT_EQ(why_it_does_not_compile(arranged), "");
  arranged.policy.dns.resolvers.push_back({address_of("192.0.2.54"), Port{53}});
  EXPECT_NE(why_it_does_not_compile(arranged), "");
}

TEST(PolicyImage, IsTheSameWhateverTheOrderOfTheRules) {
  const std::vector<std::string> rules = {"tcp://**.b.example:1", "udp://a.b.example:2", "tcp://192.0.2.0/24:3",
                                          "c.example"};
  const std::vector<std::string> reversed(rules.rbegin(), rules.rend());
  EXPECT_EQ(compile(arrange(rules)), compile(arrange(reversed)));
}

TEST(PolicyImage, CompilesTenThousandNamesQuickly) {
  Arranged arranged;
  for (std::uint32_t i = 0; i < 10000; ++i) {
    arranged.policy.allow.push_back(
        rule_of("https://host" + std::to_string(i) + ".zone" + std::to_string(i % 100) + ".example.com",
                EndpointUse::kAllow, i));
  }
  const auto start = std::chrono::steady_clock::now();
  const PolicyImage image = compile(arranged);
  const auto took = std::chrono::steady_clock::now() - start;
  RecordProperty("milliseconds", static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  EXPECT_EQ(image.names.size(), 10000u);
  EXPECT_LT(took, std::chrono::seconds(2)) << "quadratic compilation takes minutes";
}

}  // namespace
}  // namespace namewall
