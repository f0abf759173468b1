#include "agent/import_cilium.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A policy for every pod with these lines of `spec`, indented by two.
std::string cilium_policy(const std::string& spec, const std::string& name = "api") {
  return "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  endpointSelector: {}\n  ingress: [{}]\n" + spec;
}

ImportedPolicy import_spec(const std::string& spec, const ObjectImportOptions& options = {}) {
  return import_cilium({cilium_policy(spec), "c.yaml"}, options);
}

std::vector<std::string> endpoints_of(const std::vector<ImportedRule>& rules) {
  std::vector<std::string> out;
  for (const ImportedRule& rule : rules) out.push_back(rule.endpoint);
  return out;
}

std::vector<std::string> refusals_of(const ImportedPolicy& policy) {
  std::vector<std::string> out;
  for (const ImportRemark& remark : policy.refused) {
    out.push_back(remark.origin.to_string() + " " + remark.path + ": " + remark.sentence);
  }
  return out;
}

std::vector<std::string> notes_of(const ImportedPolicy& policy) {
  std::vector<std::string> out;
  for (const ImportRemark& remark : policy.notes) out.push_back(remark.path + ": " + remark.sentence);
  return out;
}

TEST(ImportCilium, TurnsEachKindOfDestinationIntoEndpoints) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"toFQDNs: [{matchName: Example.com}, {matchPattern: '*.example.com'}], toPorts: [{ports: [{port: '443', "
       "protocol: TCP}]}]",
       {"tcp://example.com:443", "tcp://*.example.com:443"}},
      {"toFQDNs: [{matchPattern: '**.example.com'}]", {"*://**.example.com:*", "icmp://**.example.com"}},
      {"toCIDR: [192.0.2.1, 10.1.2.3/8, '2001:db8::/32'], toPorts: [{ports: [{port: '53', protocol: UDP}]}]",
       {"udp://192.0.2.1:53", "udp://10.0.0.0/8:53", "udp://[2001:db8::]/32:53"}},
      {"toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.128.0.0/9]}], toPorts: [{ports: [{port: '1'}]}]",
       {"*://10.0.0.0/9:1"}},
      {"toEntities: [world], toPorts: [{ports: [{port: '80'}, {port: '443'}]}]", {"*://*:80,443"}},
      {"toEntities: [world-ipv4, world-ipv6], toPorts: [{ports: [{port: '80', protocol: TCP}]}]",
       {"tcp://0.0.0.0/0:80", "tcp://[::]/0:80"}},
      {"toPorts: [{ports: [{port: '443', protocol: TCP}]}]", {"tcp://*:443"}},
      {"{}", {}},
  };
  for (const auto& [rule, endpoints] : cases) {
    const std::string text = std::string(rule) == "{}" ? "{}" : "{" + std::string(rule) + "}";
    const ImportedPolicy policy = import_spec("  egress: [" + text + "]\n");
    EXPECT_THAT(refusals_of(policy), IsEmpty()) << rule;
    EXPECT_EQ(endpoints_of(policy.allow), endpoints) << rule;
    EXPECT_THAT(policy.deny, IsEmpty()) << rule;
  }
}

TEST(ImportCilium, ReadsPortsAsCiliumDoes) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"{port: '80', protocol: TCP}", {"tcp://192.0.2.1:80"}},
      {"{port: 80, protocol: tcp}", {"tcp://192.0.2.1:80"}},
      {"{port: '80', protocol: ANY}", {"*://192.0.2.1:80"}},
      {"{port: '80'}", {"*://192.0.2.1:80"}},
      {"{port: '8000', endPort: 8100, protocol: UDP}", {"udp://192.0.2.1:8000-8100"}},
      {"{port: '0', protocol: TCP}", {"tcp://192.0.2.1:*"}},
      {"{port: '80', protocol: TCP}, {port: '53', protocol: UDP}", {"tcp://192.0.2.1:80", "udp://192.0.2.1:53"}},
  };
  for (const auto& [ports, endpoints] : cases) {
    const auto policy =
        import_spec("  egress: [{toCIDR: [192.0.2.1/32], toPorts: [{ports: [" + std::string(ports) + "]}]}]\n");
    EXPECT_THAT(refusals_of(policy), IsEmpty()) << ports;
    EXPECT_EQ(endpoints_of(policy.allow), endpoints) << ports;
  }
}

TEST(ImportCilium, DeniesWhatEgressDenyDenies) {
  const auto policy = import_spec(
      "  egress: [{toEntities: [world]}]\n"
      "  egressDeny:\n"
      "    - toCIDR: [169.254.169.254/32]\n"
      "    - toEntities: [world]\n"
      "      toPorts: [{ports: [{port: '25', protocol: TCP}]}]\n");
  EXPECT_THAT(refusals_of(policy), IsEmpty());
  EXPECT_THAT(endpoints_of(policy.allow), ElementsAre("*://*:*", "icmp://*"));
  EXPECT_THAT(endpoints_of(policy.deny), ElementsAre("169.254.169.254", "tcp://*:25"));
  EXPECT_TRUE(load_policy(to_toml(policy), Format::kToml, "p.toml").ok());
}

TEST(ImportCilium, RefusesByPathAndLineWhatItCannotExpress) {
  // Each is one rule of egress, in flow style on line 8; what is refused, and a word of the sentence.
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"toEndpoints: [{matchLabels: {app: db}}]", "egress[0].toEndpoints", "no pods"},
      {"toServices: [{k8sService: {serviceName: a}}]", "egress[0].toServices", "no pods"},
      {"toNodes: [{}]", "egress[0].toNodes", "no pods"},
      {"toRequires: [{}]", "egress[0].toRequires", "no pods"},
      {"toGroups: [{aws: {}}]", "egress[0].toGroups", "security groups"},
      {"toEntities: [cluster]", "egress[0].toEntities[0]", "\"cluster\""},
      {"toEntities: [all]", "egress[0].toEntities[0]", "\"all\""},
      {"toEntities: [host]", "egress[0].toEntities[0]", "\"host\""},
      {"icmps: [{fields: [{type: 8}]}]", "egress[0].icmps", "echo"},
      {"authentication: {mode: required}, toCIDR: [1.2.3.4]", "egress[0].authentication", "other end"},
      {"toFQDNs: [{matchPattern: '*'}]", "egress[0].toFQDNs[0].matchPattern", "every name"},
      {"toFQDNs: [{matchName: a.example, matchPattern: b.example}]", "egress[0].toFQDNs[0]", "exactly one"},
      {"toFQDNs: [{}]", "egress[0].toFQDNs[0]", "exactly one"},
      {"toFQDNs: []", "egress[0].toFQDNs", "empty list"},
      {"toCIDR: []", "egress[0].toCIDR", "empty list"},
      {"toCIDR: [nonsense]", "egress[0].toCIDR[0]", "a network such as"},
      {"toCIDR: [10.0.0.0/33]", "egress[0].toCIDR[0]", "a network such as"},
      {"toCIDRSet: [{cidr: 10.0.0.1}]", "egress[0].toCIDRSet[0].cidr", "a network such as"},
      {"toCIDRSet: [{cidrGroupRef: g}]", "egress[0].toCIDRSet[0].cidrGroupRef", "in the cluster"},
      {"toCIDRSet: [{cidr: 10.0.0.0/8, except: [x]}]", "egress[0].toCIDRSet[0].except[0]", "a network such as"},
      {"toFQDNs: [{matchName: a.example}], toCIDR: [1.2.3.4]", "egress[0]", "several kinds"},
      {"toFoo: []", "egress[0].toFoo", "does not know this field"},
      {"toCIDR: [1.2.3.4], toCIDR: [1.2.3.5]", "egress[0].toCIDR", "written twice"},
      {"toPorts: []", "egress[0].toPorts", "empty list"},
      {"toPorts: [{}]", "egress[0].toPorts[0]", "names no port"},
      {"toPorts: [{ports: [{port: http}]}]", "egress[0].toPorts[0].ports[0]", "named port"},
      {"toPorts: [{ports: [{port: '080'}]}]", "egress[0].toPorts[0].ports[0]", "no number"},
      {"toPorts: [{ports: [{port: '65536'}]}]", "egress[0].toPorts[0].ports[0]", "no number"},
      {"toPorts: [{ports: [{port: '80', endPort: 70}]}]", "egress[0].toPorts[0].ports[0]", "below"},
      {"toPorts: [{ports: [{port: '80', protocol: SCTP}]}]", "egress[0].toPorts[0].ports[0].protocol", "\"SCTP\""},
      {"toPorts: [{ports: [{port: '80'}], serverNames: [a]}]", "egress[0].toPorts[0].serverNames", "SNI"},
      {"toPorts: [{ports: [{port: '80'}], terminatingTLS: {}}]", "egress[0].toPorts[0].terminatingTLS", "TLS"},
      {"toPorts: [{ports: [{port: '80'}], originatingTLS: {}}]", "egress[0].toPorts[0].originatingTLS", "TLS"},
      {"toPorts: [{ports: [{port: '80'}], listener: {}}]", "egress[0].toPorts[0].listener", "proxy"},
      {"toPorts: [{ports: [{port: '80'}], rules: {http: [{}]}}]", "egress[0].toPorts[0].rules.http", "HTTP"},
      {"toPorts: [{ports: [{port: '80'}], rules: {kafka: [{}]}}]", "egress[0].toPorts[0].rules.kafka", "HTTP"},
      {"toPorts: [{ports: [{port: '80'}], rules: {dns: [{matchPattern: '*'}]}}]", "egress[0].toPorts[0]", "than 53"},
      {"toCIDR: [10.0.0.0/8], toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchPattern: '*'}]}}]",
       "egress[0].toPorts[0]", "single addresses"},
  };
  for (const auto& [rule, path, word] : cases) {
    const auto policy = import_spec("  egress:\n    - {" + std::string(rule) + "}\n");
    const std::string where = "c.yaml:8:";
    EXPECT_THAT(refusals_of(policy),
                Contains(AllOf(HasSubstr(where), HasSubstr(" spec." + std::string(path) + ": "), HasSubstr(word))))
        << rule << "\n"
        << ::testing::PrintToString(refusals_of(policy));
  }
}

TEST(ImportCilium, RefusesWhatWouldOpenMoreThanTheDocument) {
  const std::pair<const char*, const char*> cases[] = {
      {"  egressDeny: [{toFQDNs: [{matchName: a.example}]}]\n", "no denial by name"},
      {"  egressDeny: [{toEndpoints: [{}]}]\n", "no pods"},
      {"  egressDeny: [{toEndpoints: [{}], toPorts: [{ports: [{port: '53'}]}]}]\n", "its own resolver"},
      {"  egress: []\n", "leaves every destination open"},
      {"  description: nothing\n", "leaves every destination open"},
      {"  egress: [{}]\n  enableDefaultDeny: {egress: false}\n", "always closes"},
      {"  egress: [{}]\n  ingressDeny: [{fromEndpoints: [{}]}]\n", "from outside"},
      {"  egress: [{}]\n  nodeSelector: {}\n", "whole nodes"},
  };
  for (const auto& [spec, word] : cases) {
    EXPECT_THAT(refusals_of(import_spec(spec)), Contains(HasSubstr(word))) << spec;
  }
}

constexpr const char* kClusterDns =
    "    - toEndpoints: [{matchLabels: {'k8s-app': kube-dns}}]\n"
    "      toPorts: [{ports: [{port: '53', protocol: ANY}], rules: {dns: [{matchPattern: '*'}]}}]\n";

TEST(ImportCilium, TakesTheWayToADnsServerForItsResolver) {
  const auto policy =
      import_spec(std::string("  egress:\n") + kClusterDns + "    - toFQDNs: [{matchName: a.example}]\n");
  EXPECT_THAT(refusals_of(policy), IsEmpty());
  EXPECT_THAT(endpoints_of(policy.allow), ElementsAre("*://a.example:*", "icmp://a.example"));
  EXPECT_THAT(policy.resolvers, IsEmpty());
  EXPECT_THAT(notes_of(policy), Contains(HasSubstr("[dns] resolvers")));
}

TEST(ImportCilium, NamesTheResolversThatAreAddresses) {
  const std::string dns =
      "    - toCIDR: [9.9.9.9/32, '2620:fe::fe/128']\n"
      "      toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchPattern: '*'}]}}]\n";
  const auto policy = import_spec("  egress:\n" + dns);
  EXPECT_THAT(refusals_of(policy), IsEmpty());
  EXPECT_THAT(policy.resolvers, ElementsAre("9.9.9.9", "2620:fe::fe"));
  const auto loaded = load_policy(to_toml(policy), Format::kToml, "p.toml");
  ASSERT_TRUE(loaded.ok());
  EXPECT_FALSE(loaded.value.dns.resolvers_from_system);
  EXPECT_THAT(import_spec("  egress:\n" + dns + kClusterDns).resolvers,
              ElementsAre("system", "9.9.9.9", "2620:fe::fe"));
}

TEST(ImportCilium, OpensPrivateAddressesOfNamesOnlyWhenAsked) {
  const std::string spec =
      "  egress: [{toFQDNs: [{matchName: a.example}], toPorts: [{ports: [{port: '1'}]}]}, "
      "{toCIDR: [10.0.0.1], toPorts: [{ports: [{port: '1'}]}]}]\n";
  EXPECT_THAT(endpoints_of(import_spec(spec).allow), ElementsAre("*://a.example:1", "*://10.0.0.1:1"));
  EXPECT_THAT(notes_of(import_spec(spec)), Contains(HasSubstr("--private")));
  EXPECT_THAT(endpoints_of(import_spec(spec, {"", true}).allow),
              ElementsAre("*://a.example:1?private", "*://10.0.0.1:1"));
}

TEST(ImportCilium, ReadsSeveralPoliciesOfTheSamePodsAsOne) {
  const std::string a = cilium_policy("  egress: [{toCIDR: [1.2.3.4], toPorts: [{ports: [{port: '1'}]}]}]\n", "a");
  const std::string b = cilium_policy("  egress: [{toCIDR: [1.2.3.5], toPorts: [{ports: [{port: '1'}]}]}]\n", "b");
  const auto both = import_cilium({a + "---\n" + b, "c.yaml"}, {});
  EXPECT_THAT(refusals_of(both), IsEmpty());
  EXPECT_THAT(endpoints_of(both.allow), ElementsAre("*://1.2.3.4:1", "*://1.2.3.5:1"));
  EXPECT_EQ(both.allow.at(1).path, "b.spec.egress[0].toCIDR[0]");
  EXPECT_EQ(both.allow.at(1).origin.to_string(), "c.yaml:15:22");
  EXPECT_THAT(endpoints_of(import_cilium({a + "---\n" + b, "c.yaml"}, {"b", false}).allow),
              ElementsAre("*://1.2.3.5:1"));
  EXPECT_THAT(refusals_of(import_cilium({a, "c.yaml"}, {"c", false})), ElementsAre(HasSubstr("no policy \"c\"")));
}

TEST(ImportCilium, RefusesPoliciesOfDifferentPodsInOneImport) {
  const std::string a = cilium_policy("  egress: [{}]\n", "a");
  std::string b = cilium_policy("  egress: [{}]\n", "b");
  b.replace(b.find("endpointSelector: {}"), 20, "endpointSelector: {matchLabels: {app: b}}");
  EXPECT_THAT(refusals_of(import_cilium({a + "---\n" + b, "c.yaml"}, {})), ElementsAre(HasSubstr("other pods")));
  EXPECT_THAT(refusals_of(import_cilium({a + "---\n" + b, "c.yaml"}, {"b", false})), IsEmpty());
}

TEST(ImportCilium, ReadsListsAndJson) {
  const std::string list = R"({"kind": "List", "items": [{"kind": "CiliumClusterwideNetworkPolicy", "metadata":
      {"name": "x"}, "specs": [{"endpointSelector": {}, "egress": [{"toCIDR": ["1.2.3.4/32"]}]}]}]})";
  const auto policy = import_cilium({list, "c.json"}, {});
  EXPECT_THAT(refusals_of(policy), IsEmpty());
  EXPECT_THAT(endpoints_of(policy.allow), ElementsAre("*://1.2.3.4:*", "icmp://1.2.3.4"));
  EXPECT_EQ(policy.name, "x");
}

TEST(ImportCilium, RefusesOtherKinds) {
  EXPECT_THAT(refusals_of(import_cilium({"kind: NetworkPolicy\n", "c.yaml"}, {})),
              Contains(HasSubstr("\"NetworkPolicy\"")));
  EXPECT_THAT(refusals_of(import_cilium({"- a\n", "c.yaml"}, {})), Contains(HasSubstr("accepted: an object")));
  EXPECT_THAT(refusals_of(import_cilium({"", "c.yaml"}, {})), Contains(HasSubstr("no policy")));
  EXPECT_THAT(refusals_of(import_cilium({"a: [", "c.yaml"}, {})), Contains(HasSubstr("no YAML")));
}

TEST(ImportCilium, WritesEachRuleWithWhereItComesFrom) {
  const auto policy =
      import_spec("  egress: [{toCIDR: [1.2.3.4], toPorts: [{ports: [{port: '1', protocol: TCP}]}]}]\n");
  EXPECT_EQ(to_toml(policy),
            "# Imported from CiliumNetworkPolicy `api` of c.yaml.\n"
            "name = \"api\"\n"
            "allow = [\n"
            "  \"tcp://1.2.3.4:1\",  # spec.egress[0].toCIDR[0], c.yaml:7:22\n"
            "]\n");
}

TEST(ImportCilium, CannotBeMadeToWriteALineOfItsOwn) {
  const auto policy = import_cilium(
      {cilium_policy("  egress: [{toCIDR: [1.2.3.4]}]\n", "\"x`\\nallow = ['tcp://*:*']\\n#\""), "c\n.yaml"}, {});
  const auto loaded = load_policy(to_toml(policy), Format::kToml, "p.toml");
  ASSERT_TRUE(loaded.ok()) << to_toml(policy);
  EXPECT_EQ(loaded.value.allow.size(), 2u);
  EXPECT_EQ(to_policy_name("--"), "imported");
  EXPECT_EQ(to_policy_name("A b/c"), "a-b-c");
}

}  // namespace
}  // namespace namewall::agent
