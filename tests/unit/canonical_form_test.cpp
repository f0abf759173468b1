#include "policy/canonical_form.h"

#include <gtest/gtest.h>

#include <random>

#include "policy/policy_loader.h"

namespace namewall {
namespace {

using namespace std::chrono_literals;

// Policies at random, every key in every form that the language has.
class PolicyMaker {
 public:
  explicit PolicyMaker(std::uint32_t seed) : random_(seed) {}

  Policy make() {
    Policy policy;
    policy.name = pick({"a", "builder", "ci-2_x.y", "0"});
    const char* const cgroups[] = {"/", "/ci.slice/*", "/a \"b\"", "/\xc3\xbc/x\\y", "/system.slice/x*.service"};
    for (const char* cgroup : cgroups) {
      if (below(3) == 0) policy.cgroups.push_back(cgroup);
    }
    make_unarmed_children(policy);
    policy.mode = static_cast<Mode>(below(2));
    for (int i = below(8); i > 0; --i) policy.allow.push_back(rule(kAllowTexts, EndpointUse::kAllow));
    for (int i = below(8); i > 0; --i) policy.deny.push_back(rule(kDenyTexts, EndpointUse::kDeny));
    std::vector<PortRange> listen;
    for (int i = below(5); i > 0; --i) {
      const auto first = static_cast<std::uint16_t>(1 + below(65535));
      const auto last = static_cast<std::uint16_t>(first + below(65536 - first));
      listen.push_back({below(2) == 0 ? Protocol::kTcp : Protocol::kUdp, Port{first}, Port{last}});
    }
    policy.listen = PortSet(listen);
    policy.loopback = static_cast<Loopback>(below(3));
    policy.cut_unattributed = below(2) == 0;
    DnsSettings& dns = policy.dns;
    for (int i = below(4); i > 0; --i) {
      dns.resolvers.push_back(*parse_resolver_address(
          pick({"192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:1", "127.0.0.53", "::1"})));
    }
    dns.resolvers_from_system = dns.resolvers.empty() || below(2) == 0;
    for (int i = below(3); i > 0; --i) dns.search.push_back(*DomainName::parse(pick({"a.example", "corp", "x.y.z"})));
    dns.search_from_system = below(2) == 0;
    dns.max_ttl = std::chrono::milliseconds(below(100'000'000));
    dns.min_ttl =
        dns.max_ttl == 0ms ? Nanoseconds(0) : std::chrono::milliseconds(below(static_cast<int>(dns.max_ttl / 1ms)));
    dns.grace = std::chrono::seconds(below(5000));
    dns.retain = static_cast<Retain>(below(2));
    dns.max_addresses = static_cast<std::uint32_t>(1 + below(1'048'576));
    dns.refuse_with = static_cast<RefuseWith>(below(3));
    return policy;
  }

 private:
  void make_unarmed_children(Policy& policy) {
    if (below(2) == 0) return;
    policy.unarmed_children = UnarmedChildren::kRefuse;
    for (const std::string& cgroup : policy.cgroups) {
      if (cgroup.starts_with("/system.slice/")) policy.guard_shared.push_back("/system.slice");
    }
  }

  static constexpr const char* kAllowTexts[] = {"registry.npmjs.org",
                                                "tcp://**.github.com:22,443",
                                                "udp://*.pool.ntp.org:123",
                                                "*://10.20.0.0/16:5432",
                                                "https://nexus.corp.example?private",
                                                "https://caf\xc3\xa9.example",
                                                "icmp://example.com",
                                                "dns://192.0.2.53",
                                                "*://*:*",
                                                "tcp://*.s3.*.example.com:1-1024,8080",
                                                "a.example:80",
                                                "https://[2001:db8::]/32",
                                                "redis://x.example"};
  static constexpr const char* kDenyTexts[] = {"*://10.20.9.0/24:*", "tracker.github.com", "169.254.169.254",
                                               "icmp://192.0.2.1",   "*.ads.example",      "tcp://x.example:25",
                                               "[2001:db8::1]",      "udp://*:443"};

  int below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random_); }
  const char* pick(std::initializer_list<const char*> texts) {
    return texts.begin()[below(static_cast<int>(texts.size()))];
  }
  template <std::size_t N>
  Rule rule(const char* const (&texts)[N], EndpointUse use) {
    return {*parse_endpoint(texts[below(static_cast<int>(N))], use), {}};
  }

  std::mt19937 random_;
};

void expect_equal_rules(const std::vector<Rule>& a, const std::vector<Rule>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].endpoint.host, b[i].endpoint.host);
    EXPECT_EQ(a[i].endpoint.ports, b[i].endpoint.ports);
    EXPECT_EQ(a[i].endpoint.permits_private, b[i].endpoint.permits_private);
  }
}

void expect_equal(const Policy& a, const Policy& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.cgroups, b.cgroups);
  EXPECT_EQ(a.unarmed_children, b.unarmed_children);
  EXPECT_EQ(a.guard_shared, b.guard_shared);
  EXPECT_EQ(a.cut_unattributed, b.cut_unattributed);
  EXPECT_EQ(a.mode, b.mode);
  expect_equal_rules(a.allow, b.allow);
  expect_equal_rules(a.deny, b.deny);
  EXPECT_EQ(a.listen, b.listen);
  EXPECT_EQ(a.loopback, b.loopback);
  EXPECT_EQ(a.dns.resolvers_from_system, b.dns.resolvers_from_system);
  EXPECT_EQ(a.dns.resolvers, b.dns.resolvers);
  EXPECT_EQ(a.dns.search_from_system, b.dns.search_from_system);
  EXPECT_EQ(a.dns.search, b.dns.search);
  EXPECT_EQ(a.dns.min_ttl, b.dns.min_ttl);
  EXPECT_EQ(a.dns.max_ttl, b.dns.max_ttl);
  EXPECT_EQ(a.dns.grace, b.dns.grace);
  EXPECT_EQ(a.dns.retain, b.dns.retain);
  EXPECT_EQ(a.dns.max_addresses, b.dns.max_addresses);
  EXPECT_EQ(a.dns.refuse_with, b.dns.refuse_with);
}

void expect_round_trip(const Policy& policy) {
  const std::string toml = to_canonical_toml(policy);
  const Loaded<Policy> from_toml = load_policy(toml, Format::kToml, "canonical");
  for (const Diagnostic& diagnostic : from_toml.diagnostics) {
    EXPECT_EQ(diagnostic.severity, Diagnostic::Severity::kWarning) << diagnostic.to_string();
  }
  expect_equal(from_toml.value, policy);
  EXPECT_EQ(to_canonical_toml(from_toml.value), toml);

  const std::string json = to_canonical_json(policy);
  const Loaded<Policy> from_json = load_policy(json, Format::kJson, "canonical");
  EXPECT_TRUE(from_json.ok());
  expect_equal(from_json.value, policy);
  EXPECT_EQ(to_canonical_json(from_json.value), json);
}

TEST(CanonicalForm, LoadsAsAnEqualPolicy) {
  PolicyMaker maker(20'26);
  for (int i = 0; i < 500; ++i) {
    const Policy policy = maker.make();
    expect_round_trip(policy);
    if (::testing::Test::HasFailure()) FAIL() << "policy " << i << ":\n" << to_canonical_toml(policy);
  }
}

TEST(CanonicalForm, SpellsRulesOutInFull) {
  const Loaded<Policy> loaded = load_policy(
      R"({"name":"a","allow":["Example.com.","b.example:22"],"listen":["tcp:80","tcp:81"],"dns":{"grace":"90s"}})",
      Format::kJson, "a");
  EXPECT_EQ(to_canonical_toml(loaded.value),
            "name = \"a\"\n"
            "unarmed_children = \"watch\"\n"
            "mode = \"enforce\"\n"
            "allow = [\n"
            "  \"tcp://example.com:443\",\n"
            "  \"tcp://b.example:22\",\n"
            "]\n"
            "listen = [\"tcp:80-81\"]\n"
            "loopback = \"own\"\n"
            "cut_unattributed = false\n"
            "\n"
            "[dns]\n"
            "learn = \"auto\"\n"
            "resolvers = [\"system\"]\n"
            "search = [\"system\"]\n"
            "min_ttl = \"5s\"\n"
            "max_ttl = \"24h\"\n"
            "grace = \"1m30s\"\n"
            "retain = \"ttl\"\n"
            "max_addresses = 1024\n"
            "refuse_with = \"nxdomain\"\n"
            "resolve = \"workload\"\n"
            "hints = \"teach\"\n"
            "ech = \"keep\"\n"
            "cache = true\n"
            "\n"
            "[dns.bounds]\n"
            "in_flight = 256\n"
            "per_second = 2000\n"
            "fresh_per_second = 100\n"
            "connections = 32\n"
            "idle = \"10s\"\n");
}

}  // namespace
}  // namespace namewall
