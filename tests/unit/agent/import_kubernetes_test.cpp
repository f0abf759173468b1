#include "agent/import_kubernetes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string object(const std::string& kind, const std::string& spec, const std::string& name = "web") {
  return "kind: " + kind + "\nmetadata: {name: " + name + "}\nspec:\n" + spec;
}

ImportedPolicy import_plain(const std::string& egress) {
  return import_kubernetes(
      {object("NetworkPolicy", "  podSelector: {}\n  policyTypes: [Ingress, Egress]\n" + egress), "k.yaml"}, {});
}

ImportedPolicy import_cluster(const std::string& egress, const ObjectImportOptions& options = {}) {
  return import_kubernetes(
      {object("ClusterNetworkPolicy",
              "  tier: Admin\n  priority: 5\n  subject: {namespaces: {}}\n  ingress: []\n" + egress),
       "k.yaml"},
      options);
}

std::vector<std::string> imported(const ImportedPolicy& policy) {
  std::vector<std::string> out;
  for (const ImportedRule& rule : policy.allow) out.push_back(rule.endpoint);
  for (const ImportedRule& rule : policy.deny) out.push_back("deny " + rule.endpoint);
  for (const ImportRemark& remark : policy.refused) {
    out.push_back(remark.origin.to_string() + " " + remark.path + ": " + remark.sentence);
  }
  return out;
}

std::vector<std::string> remarks(const ImportedPolicy& policy) {
  std::vector<std::string> out;
  for (const ImportRemark& remark : policy.notes) out.push_back(remark.path + ": " + remark.sentence);
  return out;
}

TEST(ImportKubernetes, TurnsNetworkPoliciesIntoEndpoints) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"[{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.128.0.0/9]}}], ports: [{port: 443}]}]",
       {"tcp://10.0.0.0/9:443"}},
      {"[{to: [{ipBlock: {cidr: '2001:db8::/32'}}], ports: [{protocol: UDP, port: 8000, endPort: 8100}]}]",
       {"udp://[2001:db8::]/32:8000-8100"}},
      {"[{to: [{ipBlock: {cidr: 1.2.3.4/32}}]}]", {"*://1.2.3.4:*"}},
      {"[{ports: [{protocol: UDP}]}]", {"udp://*:*"}},
      {"[{to: [], ports: []}]", {"*://*:*"}},
      {"[{}]", {"*://*:*"}},
      {"[]", {}},
  };
  for (const auto& [egress, expected] : cases) {
    EXPECT_EQ(imported(import_plain("  egress: " + std::string(egress) + "\n")), expected) << egress;
  }
}

TEST(ImportKubernetes, RefusesByPathAndLineWhatANetworkPolicySaysOfACluster) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"{to: [{podSelector: {}}]}", "egress[0].to[0].podSelector", "no pods"},
      {"{to: [{namespaceSelector: {}}], ports: [{port: 80}]}", "egress[0].to[0].namespaceSelector", "no pods"},
      {"{to: [{}]}", "egress[0].to[0]", "selects nothing"},
      {"{to: [{ipBlock: {}}]}", "egress[0].to[0].ipBlock", "no `cidr`"},
      {"{to: [{ipBlock: {cidr: 1.2.3.4}}]}", "egress[0].to[0].ipBlock.cidr", "a network such as"},
      {"{ports: [{port: http}]}", "egress[0].ports[0].port", "named port"},
      {"{ports: [{port: 0}]}", "egress[0].ports[0].port", "from 1 to 65535"},
      {"{ports: [{port: 80, protocol: SCTP}]}", "egress[0].ports[0].protocol", "\"SCTP\""},
      {"{ports: [{port: 80, endPort: 79}]}", "egress[0].ports[0]", "endPort"},
      {"{foo: 1}", "egress[0].foo", "does not know this field"},
  };
  for (const auto& [rule, path, word] : cases) {
    EXPECT_THAT(
        imported(import_plain("  egress:\n    - " + std::string(rule) + "\n")),
        Contains(AllOf(HasSubstr("k.yaml:7:"), HasSubstr(" spec." + std::string(path) + ": "), HasSubstr(word))))
        << rule;
  }
  EXPECT_THAT(imported(import_plain("  egress: []\n  ingress: [{}]\n")), Contains(HasSubstr("from outside")));
  EXPECT_THAT(imported(import_kubernetes({object("NetworkPolicy", "  podSelector: {}\n"), "k.yaml"}, {})),
              Contains(HasSubstr("leaves every destination open")));
}

TEST(ImportKubernetes, TakesPodsAtPort53ForTheResolver) {
  const auto policy = import_plain(
      "  egress: [{to: [{namespaceSelector: {}, podSelector: {}}], ports: [{port: 53}, {port: 53, protocol: UDP}]}]\n");
  EXPECT_THAT(imported(policy), IsEmpty());
  EXPECT_THAT(remarks(policy), Contains(HasSubstr("[dns] resolvers")));
}

TEST(ImportKubernetes, TurnsDomainNamesIntoPatternsOfAnyDepth) {
  const auto policy = import_cluster(
      "  egress:\n"
      "    - {action: Accept, to: [{domainNames: [kubernetes.io, '*.Example.com.']}], protocols: [{tcp: "
      "{destinationPort: "
      "{number: 443}}}, {udp: {destinationPort: {range: {start: 443, end: 444}}}}]}\n"
      "    - {action: Deny, to: [{networks: [0.0.0.0/0, '::/0']}]}\n");
  EXPECT_THAT(imported(policy), ElementsAre("tcp://kubernetes.io:443", "udp://kubernetes.io:443-444",
                                            "tcp://**.example.com:443", "udp://**.example.com:443-444"));
  EXPECT_THAT(remarks(policy), ElementsAre(HasSubstr("it selects pods"), HasSubstr("--private")));
  EXPECT_THAT(imported(import_cluster("  egress: [{action: Accept, to: [{domainNames: [a.example]}]}]\n", {"", true})),
              ElementsAre("*://a.example:*?private", "icmp://a.example?private"));
}

TEST(ImportKubernetes, ReadsTheOlderFormOfTheSame) {
  const std::string spec =
      "  priority: 5\n  subject: {namespaces: {}}\n  egress: [{name: n, action: Allow, to: [{networks: [10.0.0.0/8]}], "
      "ports: "
      "[{portNumber: {protocol: UDP, port: 53}}, {portRange: {start: 1, end: 2}}]}]\n";
  EXPECT_THAT(imported(import_kubernetes({object("AdminNetworkPolicy", spec), "k.yaml"}, {})),
              ElementsAre("tcp://10.0.0.0/8:1-2", "udp://10.0.0.0/8:53"));
}

TEST(ImportKubernetes, RefusesByPathAndLineWhatAnOrderedRuleCannotSay) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"{action: Pass, to: [{networks: [10.0.0.0/8]}]}", "egress[0].action", "not in this file"},
      {"{action: Drop, to: [{networks: [10.0.0.0/8]}]}", "egress[0].action", "none of"},
      {"{to: [{networks: [10.0.0.0/8]}]}", "egress[0]", "none of"},
      {"{action: Accept, to: [{namespaces: {}}]}", "egress[0].to[0].namespaces", "no pods"},
      {"{action: Accept, to: [{pods: {}}]}", "egress[0].to[0].pods", "no pods"},
      {"{action: Accept, to: [{nodes: {}}]}", "egress[0].to[0].nodes", "no pods"},
      {"{action: Deny, to: [{pods: {}}]}", "egress[0].to[0].pods", "no pods"},
      {"{action: Deny, to: [{domainNames: [a.example]}]}", "egress[0].to[0].domainNames[0]", "rules that accept"},
      {"{action: Accept, to: [{domainNames: [a]}]}", "egress[0].to[0].domainNames[0]", "two labels"},
      {"{action: Accept, to: [{domainNames: ['a.*.example']}]}", "egress[0].to[0].domainNames[0]", "two labels"},
      {"{action: Accept, to: [{networks: [10.0.0.0]}]}", "egress[0].to[0].networks[0]", "a network such as"},
      {"{action: Accept, to: [{}]}", "egress[0].to[0]", "exactly one field"},
      {"{action: Accept, to: []}", "egress[0]", "nothing in `to`"},
      {"{action: Accept, to: [{networks: [10.0.0.0/8]}], ports: [{namedPort: web}]}", "egress[0].ports[0].namedPort",
       "named port"},
      {"{action: Accept, to: [{networks: [10.0.0.0/8]}], protocols: [{sctp: {}}]}", "egress[0].protocols[0].sctp",
       "SCTP"},
      {"{action: Accept, to: [{networks: [10.0.0.0/8]}], protocols: [{tcp: {}}]}", "egress[0].protocols[0].tcp",
       "destinationPort"},
      {"{action: Accept, to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: web}]}",
       "egress[0].protocols[0].destinationNamedPort", "named port"},
      {"{action: Accept, to: [{networks: [10.0.0.0/8]}], protocols: []}", "egress[0].protocols", "names no port"},
  };
  for (const auto& [rule, path, word] : cases) {
    const auto policy = import_cluster("  egress:\n    - " + std::string(rule) + "\n");
    EXPECT_THAT(imported(policy), Contains(AllOf(HasSubstr("k.yaml:9:"), HasSubstr(" spec." + std::string(path) + ": "),
                                                 HasSubstr(word))))
        << rule << ::testing::PrintToString(imported(policy));
  }
}

TEST(ImportKubernetes, CutsADenialByWhatEarlierRulesAccept) {
  EXPECT_THAT(imported(import_cluster("  egress:\n"
                                      "    - {action: Accept, to: [{networks: [10.128.0.0/9]}]}\n"
                                      "    - {action: Deny, to: [{networks: [10.0.0.0/8]}]}\n"
                                      "    - {action: Accept, to: [{networks: [0.0.0.0/0]}]}\n")),
              ElementsAre("*://10.128.0.0/9:*", "icmp://10.128.0.0/9", "*://0.0.0.0/0:*", "icmp://0.0.0.0/0",
                          "deny 10.0.0.0/9"));
}

TEST(ImportKubernetes, RefusesADenialThatEarlierNamesWouldWinAgainst) {
  const std::string names = "    - {action: Accept, to: [{domainNames: [a.example]}]}\n";
  const std::string denial = "    - {action: Deny, to: [{networks: [10.0.0.0/8]}]}\n";
  const std::string rest = "    - {action: Accept, to: [{networks: [0.0.0.0/0]}]}\n";
  EXPECT_THAT(imported(import_cluster("  egress:\n" + names + denial + rest)), Contains(HasSubstr("accepts names")));
  EXPECT_THAT(imported(import_cluster("  egress:\n" + denial + names + rest)), Contains("deny 10.0.0.0/8"));
  EXPECT_THAT(imported(import_cluster("  egress:\n" + names + denial)),
              ElementsAre("*://a.example:*", "icmp://a.example"));
}

TEST(ImportKubernetes, AsksObjectsInTheOrderOfTheirPriorities) {
  const auto one = [](const std::string& name, int priority, const std::string& action, const std::string& network) {
    return object("ClusterNetworkPolicy",
                  "  tier: Admin\n  priority: " + std::to_string(priority) +
                      "\n  subject: {namespaces: {}}\n  egress: [{action: " + action + ", to: [{networks: [" + network +
                      "]}]}]\n",
                  name);
  };
  const std::string deny = one("a", 10, "Deny", "10.0.0.0/8");
  const std::string accept = one("b", 20, "Accept", "0.0.0.0/0");
  const std::string first = one("c", 5, "Accept", "10.0.0.0/8");
  EXPECT_THAT(imported(import_kubernetes({accept + "---\n" + deny, "k.yaml"}, {})), Contains("deny 10.0.0.0/8"));
  EXPECT_THAT(imported(import_kubernetes({accept + "---\n" + deny + "---\n" + first, "k.yaml"}, {})),
              ElementsAre("*://10.0.0.0/8:*", "icmp://10.0.0.0/8", "*://0.0.0.0/0:*", "icmp://0.0.0.0/0"));
  EXPECT_THAT(imported(import_kubernetes({one("d", 10, "Accept", "1.0.0.0/8") + "---\n" + deny, "k.yaml"}, {})),
              Contains(HasSubstr("same priority")));
}

TEST(ImportKubernetes, SaysWhatIsLeftToOtherPolicies) {
  EXPECT_THAT(remarks(import_cluster("  egress: [{action: Accept, to: [{networks: [10.0.0.0/8]}]}]\n")),
              Contains(HasSubstr("here it is refused")));
  EXPECT_THAT(imported(import_cluster("  egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}]\n")),
              Contains(HasSubstr("no rule accepts anything")));
  const std::string plain = object("NetworkPolicy", "  podSelector: {}\n  policyTypes: [Egress]\n", "p");
  EXPECT_THAT(remarks(import_kubernetes({plain, "k.yaml"}, {})), Contains(HasSubstr("from outside open")));
  const std::string ordered = object(
      "ClusterNetworkPolicy", "  subject: {}\n  egress: [{action: Accept, to: [{networks: [10.0.0.0/8]}]}]\n", "o");
  EXPECT_THAT(imported(import_kubernetes({plain + "---\n" + ordered, "k.yaml"}, {})), Contains(HasSubstr("--name")));
}

}  // namespace
}  // namespace namewall::agent
