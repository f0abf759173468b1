// Rules in table form, as policies have them.
#include "policy/rule_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/host_loader.h"
#include "policy/service_list.h"

namespace namewall {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<Service>& some_services() {
  static const std::vector<Service> services = parse_service_list(
      "https 443/tcp\nhttps 443/udp\npostgresql 5432/tcp postgres\nntp 123/udp\nexec 512/tcp\nbiff 512/udp\n"
      "odd 1000/tcp\nodd 1001/udp\n");
  return services;
}

Loaded<Policy> load_tables(const std::string& rules, const std::string& key = "allow") {
  const LoadContext context = {.services = some_services()};
  return load_policy("name = \"a\"\n" + key + " = [" + rules + "]", Format::kToml, "p.toml", {}, context);
}

std::vector<std::string> rules_of_tables(const std::string& rules, const std::string& key = "allow") {
  const Loaded<Policy> loaded = load_tables(rules, key);
  std::vector<std::string> out;
  for (const Diagnostic& diagnostic : loaded.diagnostics) out.push_back(diagnostic.to_string());
  for (const Rule& rule : key == "allow" ? loaded.value.allow : loaded.value.deny) {
    out.push_back(to_canonical_string(rule.endpoint));
  }
  return out;
}

TEST(RuleTable, SaysInWordsWhatAnEndpointSaysInOneString) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({ host = "db.internal", service = "postgresql", protocol = "tcp", private = true })",
       "tcp://db.internal:5432?private"},
      {R"({ host = "db.internal", service = "postgres" })", "tcp://db.internal:5432"},
      {R"({ host = "db.internal", service = "PostgreSQL", private = false, resolve = "agent" })",
       "tcp://db.internal:5432?resolve=agent"},
      {R"({ host = "a.example", port = 5432, private = true, resolve = "agent" })",
       "tcp://a.example:5432?private&resolve=agent"},
      {R"({ host = "**.a.example", ports = "80,443", resolve = "workload" })", "tcp://**.a.example:80,443"},
      {R"({ host = "a.example", ports = "*", protocol = "*" })", "*://a.example:*"},
      {R"({ host = "10.0.0.0/8", port = 53, protocol = "udp" })", "udp://10.0.0.0/8:53"},
      {R"({ host = "[2001:db8::]/32", port = 53, protocol = "*" })", "*://[2001:db8::]/32:53"},
      {R"({ host = "a.example", protocol = "icmp" })", "icmp://a.example"},
      {R"({ host = "*", port = 25 })", "tcp://*:25"},
  };
  for (const auto& [table, endpoint] : cases) EXPECT_THAT(rules_of_tables(table), ElementsAre(endpoint)) << table;
}

TEST(RuleTable, OpensAServiceForTcpUnlessTheRuleOrTheRegistrySaysOtherwise) {
  EXPECT_THAT(rules_of_tables(R"({ host = "a.example", service = "https" })"), ElementsAre("tcp://a.example:443"));
  EXPECT_THAT(rules_of_tables(R"({ host = "a.example", service = "https", protocol = "udp" })"),
              ElementsAre("udp://a.example:443"));
  EXPECT_THAT(rules_of_tables(R"({ host = "a.example", service = "https", protocol = "*" })"),
              ElementsAre("*://a.example:443"));
  EXPECT_THAT(rules_of_tables(R"({ host = "a.example", service = "ntp" })"), ElementsAre("udp://a.example:123"));
}

TEST(RuleTable, KeepsThePortsOfEachProtocolApart) {
  EXPECT_THAT(rules_of_tables(R"({ host = "a.example", service = "odd", protocol = "*" })"),
              ElementsAre("tcp://a.example:1000", "udp://a.example:1001"));
  EXPECT_THAT(rules_of_tables(R"({ host = "a.example", service = "exec", protocol = "*" })"),
              ElementsAre("tcp://a.example:512"));
}

TEST(RuleTable, DeniesEveryPortWhereItSaysNone) {
  EXPECT_THAT(rules_of_tables(R"({ host = "a.example" })", "deny"), ElementsAre("a.example"));
  EXPECT_THAT(rules_of_tables(R"({ host = "a.example", service = "https", protocol = "*" })", "deny"),
              ElementsAre("*://a.example:443"));
}

TEST(RuleTable, StandsBesideStringsAndInJson) {
  EXPECT_THAT(rules_of_tables(R"("a.example", { host = "b.example", port = 22 })"),
              ElementsAre("tcp://a.example:443", "tcp://b.example:22"));
  const LoadContext context = {.services = some_services()};
  const auto loaded = load_policy(R"({"name": "a", "allow": [{"host": "b.example", "service": "ntp"}]})", Format::kJson,
                                  "p.json", {}, context);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value.allow.at(0).origin.to_string(), "p.json:1:25");
}

TEST(RuleTable, IsAcceptedInTheHostsDeny) {
  const auto loaded = load_host_policy(R"(deny = [{ host = "10.0.0.0/8", service = "https" }])", Format::kToml,
                                       "host.toml", {.services = some_services()});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(to_canonical_string(loaded.value.deny.at(0).endpoint), "tcp://10.0.0.0/8:443");
}

TEST(RuleTable, NamesEachMistakeWithItsPlace) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {R"({ port = 22 })", {"p.toml:2:10: error: a rule names its `host`"}},
      {R"({ host = "a.example" })", {"2:10: error: ", "one of `service`, `port` and `ports`; for every port"}},
      {R"({ host = "a.example", port = 22, ports = "22" })", {"one of `service`, `port` and `ports`, not several"}},
      {R"({ host = "a.example", service = "postgrsql" })", {"2:42: error: ", "did you mean `postgresql`?"}},
      {R"({ host = "a.example", service = "qqqqqqqqqq" })", {"unknown service \"qqqqqqqqqq\"", "/etc/services"}},
      {R"({ host = "a.example", service = "ntp", protocol = "tcp" })", {"registered for udp (port 123)"}},
      {R"({ host = "a.example", service = 5 })", {"2:42: error: `service` is an integer (5)"}},
      {R"({ host = "a.example", port = 0 })", {"2:39: error: `port` is an integer (0)"}},
      {R"({ host = "a.example", port = "22" })", {"`port` is a string"}},
      {R"({ host = "a.example", ports = "80-70" })", {"2:40: error: `ports`: "}},
      {R"({ host = "a.example", port = 22, protocol = "sctp" })", {"\"tcp\", \"udp\", \"*\", \"icmp\""}},
      {R"({ host = "a.example", port = 22, protocol = "icmp" })", {"has no ports"}},
      {R"({ host = "a.example", port = 22, privat = true })", {"unknown key `privat`", "did you mean `private`?"}},
      {R"({ host = "a.example", port = 22, private = 1 })", {"`private` is an integer (1)"}},
      {R"({ host = "a.example", port = 22, resolve = "agnt" })", {"did you mean `agent`?"}},
      {R"({ host = "https://a.example", port = 22 })", {"2:19: error: `host` is ", "accepted: a name"}},
      {R"({ host = "a.example?private", port = 22 })", {"`host` is "}},
      {R"({ host = "a.example:22", port = 22 })", {"`host` is "}},
      {R"({ host = "", port = 22 })", {"`host` is "}},
      {R"({ host = "localhost", port = 22 })", {"2:10: error: ", "`loopback`"}},
      {R"({ host = "10.0.0.1", port = 22, private = true })", {"`?private` belongs to names"}},
  };
  for (const auto& [table, parts] : cases) {
    const std::vector<std::string> found = rules_of_tables(table);
    ASSERT_EQ(found.size(), 1u) << table;
    for (const std::string& part : parts) EXPECT_THAT(found[0], HasSubstr(part)) << table;
    EXPECT_THAT(load_tables(table).value.allow, IsEmpty()) << table;
  }
}

TEST(RuleTable, SaysThatAHostListsNoServices) {
  const auto loaded =
      load_policy("name = \"a\"\nallow = [{ host = \"a.example\", service = \"https\" }]", Format::kToml, "p.toml");
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.diagnostics.at(0).message, AllOf(HasSubstr("lists none"), HasSubstr("netbase")));
}

}  // namespace
}  // namespace namewall
