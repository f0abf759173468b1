#include "policy/spin_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/spin_endpoint.h"
#include "policy/spin_oddities.h"
#include "policy/spin_template.h"

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SpinEndpoint converted(std::string_view entry, bool strict_sockets = false) {
  const auto parsed = SpinEntry::parse(entry);
  EXPECT_TRUE(parsed) << entry;
  return convert_spin_entry(*parsed, strict_sockets);
}

TEST(SpinEndpointConverter, WritesNativeEndpoints) {
  for (const auto& [entry, native] : std::vector<std::pair<std::string, std::string>>{
           {"https://example.com", "https://example.com"},
           {"http://example.com:8080", "tcp://example.com:8080"},
           {"postgres://db", "postgres://db"},
           {"rediss://cache:6380", "tcp://cache:6380"},
           {"*://example.com:443", "*://example.com:443"},
           {"udp://example.com:53", "udp://example.com:53"},
           {"https://*.Example.com.", "https://**.example.com"},
           {"https://b\xc3\xbc"
            "cher.example",
            "https://xn--bcher-kva.example"},
           {"tcp://x:4444..5555", "tcp://x:4444-5554"},
           {"tcp://x:0..2", "tcp://x:1"},
           {"tcp://x:*", "tcp://x:*"},
           {"*://*:*", "*://*:*"},
           {"tcp://127.1:1", "tcp://127.0.0.1:1"},
           {"tcp://10.1.2.3/8:1..3", "tcp://10.0.0.0/8:1-2"},
           {"tcp://2001:db8::/32:1", "tcp://[2001:db8::]/32:1"},
           {"tcp://[2001:db8::1]:1", "tcp://[2001:db8::1]:1"},
           {"tcp://[::ffff:1.2.3.4]:1", "tcp://1.2.3.4:1"},
           {"tcp://::ffff:10.0.0.0/104:1", "tcp://10.0.0.0/8:1"},
           {"tcp://::/0:1", "tcp://[::]/0:1"},
       }) {
    EXPECT_EQ(converted(entry).text, native) << entry;
    EXPECT_TRUE(parse_endpoint(native, EndpointUse::kAllow)) << native;
  }
}

TEST(SpinEndpointConverter, SaysWhyAnEntryOpensNothing) {
  for (const auto& [entry, why] : std::vector<std::pair<std::string, std::string>>{
           {"http://self", "the application itself"},
           {"http://a.spin.internal", "in memory"},
           {"http://*.spin.internal", "in memory"},
           {"http://localhost:3000", "DNS does not answer"},
           {"http://*.localhost", "DNS does not answer"},
           {"http://x:0", "port 0"},
           {"http://x:5..5", "holds no port"},
           {"http://x:0..1", "holds no port"},
           {"HTTP://x:80", "the scheme `HTTP`"},
           {"foo://x:80", "the scheme `foo`"},
           {"http://a..b", "a..b"},
       }) {
    const SpinEndpoint endpoint = converted(entry);
    EXPECT_EQ(endpoint.text, "") << entry;
    ASSERT_FALSE(endpoint.remarks.empty()) << entry;
    EXPECT_THAT(endpoint.remarks.back(), HasSubstr(why)) << entry;
  }
}

TEST(SpinEndpointConverter, OpensSocketsByThreeSchemesAloneWhereThatIsAskedFor) {
  for (const std::string entry : {"http://x", "https://x", "redis://x", "ws://x:1", "postgres://x", "mqtt://x"}) {
    EXPECT_NE(converted(entry, false).text, "") << entry;
    EXPECT_EQ(converted(entry, true).text, "") << entry;
  }
  for (const std::string entry : {"tcp://x:1", "udp://x:1", "*://x:1"}) EXPECT_NE(converted(entry, true).text, "");
}

std::vector<std::string> oddities(std::string_view entry) {
  return find_spin_oddities(entry, SpinEntry::parse(entry).value());
}

TEST(SpinOddities, HasASentenceForEach) {
  for (const auto& [entry, sentence] : std::vector<std::pair<std::string, std::string>>{
           {"HTTP://x:80", "with case"},
           {"foo://x:80", "no client in Spin"},
           {"://x:80", "the scheme is empty"},
           {"http://x:5..5", "`5..5` holds no port"},
           {"http://x:2..1", "`2..1` holds no port"},
           {"http://x:0", "port 0"},
           {"http://x:+80", "`+80` has a sign or leading zeros"},
           {"http://x:080", "`080` has a sign or leading zeros"},
           {"http://x:1..02", "`1..02` has a sign or leading zeros"},
           {"http://self/", "not for the application itself"},
           {"http://SELF", "not for the application itself"},
           {"tcp://self:1", "only http and https"},
           {"http://0177.0.0.1", "another spelling of 127.0.0.1"},
           {"http://0x7f.1", "another spelling of 127.0.0.1"},
           {"http://127.1", "another spelling of 127.0.0.1"},
           {"http://2130706433", "another spelling of 127.0.0.1"},
           {"http://1.2.3.4.", "another spelling of 1.2.3.4"},
           {"http://[::ffff:1.2.3.4]", "write the IPv4 address"},
           {"http://example.com.", "with its last dot"},
           {"http://*.example.com.", "with its last dot"},
           {"http://ex%61mple.com", "percent escapes"},
           {"http://a..b", "no name that DNS knows"},
           {"http://10.1.2.3/8", "the network is 10.0.0.0/8"},
           {"http:// x", "spaces around"},
       }) {
    const std::vector<std::string> found = oddities(entry);
    ASSERT_FALSE(found.empty()) << entry;
    EXPECT_THAT(found, ::testing::Contains(HasSubstr(sentence))) << entry;
  }
}

TEST(SpinOddities, AreNotInPlainEntries) {
  for (const std::string entry : {"https://example.com", "http://x/", "*://*:*", "http://self", "http://self:80",
                                  "http://*.example.com:1..5", "tcp://10.0.0.0/8:1", "http://[2001:db8::1]",
                                  "http://b\xc3\xbc"
                                  "cher.example",
                                  "rediss://r:1", "http://*.spin.internal"}) {
    EXPECT_THAT(oddities(entry), IsEmpty()) << entry;
  }
}

constexpr std::string_view kManifest = R"(spin_manifest_version = 2
[variables]
host = { default = "h.example" }
token = { required = true }
[component.api]
allowed_outbound_hosts = [ "https://{{ host }}", "http://self", "tcp://h.example:443" ]
[component.secret]
allowed_outbound_hosts = [ "https://{{ token }}" ]
)";

Loaded<SpinRules> rules_of(const SpinRequest& request) { return read_spin_rules(kManifest, request); }

std::string first_error(const Loaded<SpinRules>& rules) {
  return rules.diagnostics.empty() ? "" : rules.diagnostics.front().to_string();
}

TEST(SpinRuleReader, GivesEachRuleItsPlaceAndItsSource) {
  const auto rules = rules_of({"/srv/spin.toml", "api"});
  ASSERT_TRUE(rules.ok()) << first_error(rules);
  ASSERT_EQ(rules.value.lines.size(), 3u);
  const SpinLine& line = rules.value.lines.front();
  ASSERT_EQ(line.rules.size(), 1u);
  EXPECT_EQ(line.rules.front().endpoint.text, "https://h.example");
  EXPECT_EQ(line.rules.front().origin.to_string(), "/srv/spin.toml:6:28");
  EXPECT_EQ(line.rules.front().from, "spin component `api`");
  EXPECT_THAT(line.remarks, ElementsAre("with its variables `https://h.example`"));
  EXPECT_THAT(rules.value.lines[1].rules, IsEmpty());
}

TEST(SpinRuleReader, PutsVariablesOverTheDefaults) {
  const auto rules = rules_of({"m", "api", false, {{"host", "other.example"}}});
  ASSERT_TRUE(rules.ok());
  EXPECT_EQ(rules.value.lines.front().rules.front().endpoint.text, "https://other.example");
  EXPECT_TRUE(rules_of({"m", "secret", false, {{"token", "t"}}}).ok());
}

TEST(SpinRuleReader, NamesWhatIsMissing) {
  EXPECT_THAT(first_error(rules_of({"m", ""})), HasSubstr("several components, name one; it has `api`, `secret`"));
  EXPECT_THAT(first_error(rules_of({"m", "nope"})), HasSubstr("no component `nope`; it has `api`, `secret`"));
  EXPECT_THAT(first_error(rules_of({"m", "secret"})),
              HasSubstr("m:8:28: error: \"https://{{ token }}\": the variable `token` has no default"));
  EXPECT_THAT(first_error(rules_of({"m", "api", false, {{"hots", "x"}}})),
              HasSubstr("declares no variable `hots`; it declares `host`, `token`"));
}

TEST(SpinRuleReader, TakesTheOnlyComponentAndLeavesOutWhatAVariableEmpties) {
  const std::string text = R"(spin_manifest_version = 2
[variables]
v = { default = "" }
[component.a]
allowed_outbound_hosts = [ "https://{{ v }}", "redis://{{ v }}" ]
)";
  const auto rules = read_spin_rules(text, {"m"});
  EXPECT_FALSE(rules.ok());
  EXPECT_THAT(first_error(rules), HasSubstr("m:5:47: error: \"redis://{{ v }}\""));
  EXPECT_THAT(rules.value.lines.front().remarks, ElementsAre(HasSubstr("leave it empty")));
}

TEST(SpinTemplate, IsRefusedWhereItsVariablesMakeItLong) {
  std::string many;
  for (int i = 0; i < 10; ++i) many += "{{ v }}";
  EXPECT_EQ(fill_spin_template(many, {{"v", "x"}}).value(), "xxxxxxxxxx");
  const auto filled = fill_spin_template(many, {{"v", std::string(1000, 'x')}});
  ASSERT_FALSE(filled);
  EXPECT_THAT(filled.error().message(), HasSubstr("more than 4096 bytes"));
}

TEST(SpinRuleReader, WarnsOfDatabasesThatAreOpenBecauseNothingIsSaid) {
  const auto rules = read_spin_rules("spin_manifest_version = \"1\"\nname = \"a\"\n[[component]]\nid = \"c\"\n", {"m"});
  ASSERT_TRUE(rules.ok()) << first_error(rules);
  ASSERT_EQ(rules.value.lines.size(), 3u);
  for (const SpinLine& line : rules.value.lines) {
    EXPECT_THAT(line.oddities, ElementsAre(HasSubstr("open on every port because nothing is said")));
  }
  EXPECT_EQ(rules.diagnostics.size(), 3u);
}

}  // namespace
}  // namespace namewall
