#include "policy/policy_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::vector<std::string> messages_of(const std::vector<Diagnostic>& diagnostics) {
  std::vector<std::string> out;
  for (const Diagnostic& diagnostic : diagnostics) out.push_back(diagnostic.to_string());
  return out;
}

std::vector<std::string> messages_of_toml(std::string_view text) {
  return messages_of(load_policy(text, Format::kToml, "p.toml").diagnostics);
}

// Messages about the policy "a" with these lines behind its name, which is line 1.
std::vector<std::string> messages_of_lines(const std::string& lines) {
  return messages_of_toml("name = \"a\"\n" + lines);
}

std::vector<std::string> texts_of(const std::vector<Rule>& rules) {
  std::vector<std::string> out;
  for (const Rule& rule : rules) out.push_back(to_canonical_string(rule.endpoint) + " " + rule.origin.to_string());
  return out;
}

constexpr std::string_view kWholePolicy = R"(name   = "builder"
cgroup = "/ci.slice/*"
mode   = "audit"
allow  = [ "registry.npmjs.org", "tcp://**.github.com:22,443",
           "https://nexus.corp.example?private" ]
deny   = [ "*://10.20.9.0/24:*", "tracker.github.com" ]
listen = [ "tcp:8080", "tcp:8000-8100", "udp:53" ]
loopback = "any"

[dns]
learn         = "kernel"
resolvers     = [ "10.0.0.2", "[2001:db8::1]:5353" ]
search        = [ "system", "Corp.Example" ]
min_ttl       = "500ms"
max_ttl       = "1h30m"
grace         = "0s"
retain        = "workload"
max_addresses = 4096
refuse_with   = "nodata"
)";

TEST(PolicyLoader, ReadsEveryKey) {
  const Loaded<Policy> loaded = load_policy(kWholePolicy, Format::kToml, "builder.toml");
  ASSERT_THAT(messages_of(loaded.diagnostics), IsEmpty());
  const Policy& policy = loaded.value;
  EXPECT_EQ(policy.name, "builder");
  EXPECT_THAT(policy.cgroups, ElementsAre("/ci.slice/*"));
  EXPECT_EQ(policy.mode, Mode::kAudit);
  EXPECT_THAT(texts_of(policy.allow), ElementsAre("tcp://registry.npmjs.org:443 builder.toml:4:12",
                                                  "tcp://**.github.com:22,443 builder.toml:4:34",
                                                  "tcp://nexus.corp.example:443?private builder.toml:5:12"));
  EXPECT_THAT(texts_of(policy.deny),
              ElementsAre("*://10.20.9.0/24:* builder.toml:6:12", "tracker.github.com builder.toml:6:34"));
  EXPECT_EQ(policy.listen.to_string(), "tcp/8000-8100 udp/53");
  EXPECT_EQ(policy.loopback, Loopback::kAny);
  EXPECT_FALSE(policy.dns.resolvers_from_system);
  ASSERT_EQ(policy.dns.resolvers.size(), 2u);
  EXPECT_EQ(policy.dns.resolvers[1].port, Port{5353});
  EXPECT_TRUE(policy.dns.search_from_system);
  ASSERT_EQ(policy.dns.search.size(), 1u);
  EXPECT_EQ(policy.dns.search[0].text(), "corp.example");
  EXPECT_EQ(policy.dns.min_ttl, 500ms);
  EXPECT_EQ(policy.dns.max_ttl, 90min);
  EXPECT_EQ(policy.dns.grace, 0s);
  EXPECT_EQ(policy.dns.retain, Retain::kWorkload);
  EXPECT_EQ(policy.dns.max_addresses, 4096u);
  EXPECT_EQ(policy.dns.refuse_with, RefuseWith::kNodata);
}

TEST(PolicyLoader, ReadsWhatEnforces) {
  const auto backend_of = [](const std::string& line) {
    const Loaded<Policy> loaded = load_policy("name = \"a\"\n" + line, Format::kToml, "p.toml");
    EXPECT_THAT(messages_of(loaded.diagnostics), IsEmpty());
    return loaded.value.backend;
  };
  EXPECT_EQ(backend_of(""), std::nullopt);
  EXPECT_EQ(backend_of("backend = \"bpf\""), Backend::kBpf);
  EXPECT_EQ(backend_of("backend = \"nft\""), Backend::kNft);
  EXPECT_THAT(messages_of_lines("backend = \"ntf\""),
              ElementsAre(AllOf(HasSubstr("p.toml:2:11: error: "), HasSubstr("nft"))));
  EXPECT_THAT(messages_of_lines("[dns]\nbackend = \"nft\""), ElementsAre(HasSubstr("the policy itself")));
}

TEST(PolicyLoader, HasTheDefaultsOfTheLanguage) {
  const Loaded<Policy> loaded = load_policy("name = \"a\"", Format::kToml, "a.toml");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(to_canonical_toml(loaded.value),
            "name = \"a\"\n"
            "unarmed_children = \"watch\"\n"
            "mode = \"enforce\"\n"
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

TEST(PolicyLoader, ReadsTheSameStructureAsJson) {
  const Loaded<Policy> loaded = load_policy(R"({
  "name": "a", "cgroup": ["/x", "/y/*"],
  "allow": ["example.com",
            "udp://*.example.com:123"],
  "dns": {"search": [], "max_addresses": 5}
})",
                                            Format::kJson, "a.json");
  ASSERT_THAT(messages_of(loaded.diagnostics), IsEmpty());
  EXPECT_THAT(loaded.value.cgroups, ElementsAre("/x", "/y/*"));
  EXPECT_THAT(texts_of(loaded.value.allow),
              ElementsAre("tcp://example.com:443 a.json:3:13", "udp://*.example.com:123 a.json:4:13"));
  EXPECT_FALSE(loaded.value.dns.search_from_system);
  EXPECT_EQ(loaded.value.dns.max_addresses, 5u);
}

TEST(PolicyLoader, ReportsTenMistakesAtOnce) {
  const Loaded<Policy> loaded = load_policy(R"(name = "Builder"
mode = "enforced"
alow = [ "example.com" ]
allow = [ "https://example.com/path", 443,
          "tcp://example.com" ]
listen = [ "8080" ]
loopback = true

[dns]
min_ttl = 5
max_addresses = 0
refuse_with = "nxdomian"
)",
                                            Format::kToml, "p.toml");
  EXPECT_FALSE(loaded.ok());
  EXPECT_THAT(
      messages_of(loaded.diagnostics),
      ElementsAre(
          StartsWith("p.toml:1:8: error: `name` is \"Builder\"; accepted: 1 to 63 characters of a-z"),
          "p.toml:2:8: error: `mode` is \"enforced\"; accepted: \"enforce\", \"audit\"; did you mean `enforce`?",
          "p.toml:3:1: error: unknown key `alow`; did you mean `allow`?",
          StartsWith("p.toml:4:11: error: `https://example.com/path`: paths cannot be enforced"),
          StartsWith("p.toml:4:39: error: an item of `allow` is an integer (443); accepted: an endpoint as a string"),
          StartsWith("p.toml:5:11: error: `tcp://example.com`: the scheme `tcp` has no port of its own"),
          StartsWith("p.toml:6:12: error: `8080` is not a port to listen on; accepted: tcp or udp"),
          "p.toml:7:12: error: `loopback` is a boolean; accepted: \"none\", \"own\", \"any\"",
          StartsWith("p.toml:10:11: error: `min_ttl` is an integer (5) without a unit; accepted: a duration"),
          "p.toml:11:17: error: `max_addresses` is an integer (0); accepted: an integer from 1 to 1048576",
          "p.toml:12:15: error: `refuse_with` is \"nxdomian\"; accepted: \"nxdomain\", \"refused\", \"nodata\"; "
          "did you mean `nxdomain`?"));
}

TEST(PolicyLoader, ReportsTheSameMistakesInJson) {
  EXPECT_THAT(messages_of(load_policy("{\"nmae\": 1,\n \"allow\": [\"a.example\", null,\n  \"b/c\"], \"mode\": {}}",
                                      Format::kJson, "p.json")
                              .diagnostics),
              ElementsAre("p.json:1:1: error: `name` is missing: every policy file names its policy",
                          "p.json:1:2: error: unknown key `nmae`; did you mean `name`?",
                          StartsWith("p.json:2:25: error: an item of `allow` is null; accepted: an endpoint"),
                          StartsWith("p.json:3:3: error: `b/c`: paths cannot be enforced"),
                          "p.json:3:19: error: `mode` is a table; accepted: \"enforce\", \"audit\""));
}

TEST(PolicyLoader, ListsTheKeysWhenNoneIsSimilar) {
  EXPECT_THAT(
      messages_of_lines("firewall = 1\n[dns]\nsecurity = 2\n"),
      ElementsAre("p.toml:2:1: error: unknown key `firewall`; accepted: name, cgroup, unarmed_children, "
                  "guard_shared, backend, mode, allow, deny, spin, listen, loopback, cut_unattributed, expect, dns",
                  "p.toml:4:1: error: unknown key `security` in [dns]; accepted: learn, resolvers, search, "
                  "min_ttl, max_ttl, grace, retain, max_addresses, refuse_with, resolve, hints, ech, cache, bounds"));
}

TEST(PolicyLoader, SendsKeysToTheTableTheyBelongTo) {
  EXPECT_THAT(messages_of_lines("grace = \"5s\"\n[dns]\nallow = [\"a.example\"]\n"),
              ElementsAre("p.toml:2:1: error: `grace` is a key of [dns]",
                          "p.toml:4:1: error: `allow` is a key of the policy itself: write it above [dns]"));
}

TEST(PolicyLoader, RefusesAKeyWrittenTwiceInJson) {
  EXPECT_THAT(messages_of(load_policy("{\"name\":\"a\",\"name\":\"b\"}", Format::kJson, "p.json").diagnostics),
              ElementsAre("p.json:1:13: error: `name` is written twice"));
}

TEST(PolicyLoader, SaysWhichKeysAreOfHostToml) {
  EXPECT_THAT(messages_of_lines("profile = \"spin\"\ngroups = { a = [\"b.example\"] }\n"),
              ElementsAre("p.toml:2:1: error: `profile` is a key of the operator's own file: write it in host.toml",
                          "p.toml:3:1: error: `groups` is a key of the operator's own file: write it in host.toml"));
}

TEST(PolicyLoader, ReadsWhatBelongsToTheProxy) {
  const Loaded<Policy> loaded = load_policy(
      "name = \"a\"\nallow = [\"a.example?private&resolve=agent\"]\n[dns]\nlearn = \"proxy\"\nretain = "
      "\"until-next-answer\"\nresolve = \"agent\"\nhints = \"strip\"\nech = \"strip\"\ncache = false\n"
      "[dns.bounds]\nin_flight = 1\nper_second = 2\nfresh_per_second = 3\nconnections = 4\nidle = \"5s\"\n",
      Format::kToml, "a.toml");
  ASSERT_TRUE(loaded.ok());
  const DnsSettings& dns = loaded.value.dns;
  EXPECT_TRUE(loaded.value.allow[0].endpoint.resolved_by_agent);
  EXPECT_EQ(dns.learn, Learn::kProxy);
  EXPECT_EQ(dns.learn_origin.to_string(), "a.toml:4:9");
  EXPECT_EQ(dns.retain, Retain::kUntilNextAnswer);
  EXPECT_EQ(dns.resolve, Resolve::kAgent);
  EXPECT_EQ(dns.hints, Hints::kStrip);
  EXPECT_EQ(dns.ech, Ech::kStrip);
  EXPECT_FALSE(dns.cache);
  EXPECT_EQ(dns.bounds, (DnsBounds{1, 2, 3, 4, std::chrono::seconds(5)}));
  const std::string canonical = to_canonical_toml(loaded.value);
  EXPECT_EQ(to_canonical_toml(load_policy(canonical, Format::kToml, "again").value), canonical);
  EXPECT_NE(canonical.find("learn = \"proxy\"\n"), std::string::npos);
}

TEST(PolicyLoader, HoldsTheBoundsWithinReason) {
  EXPECT_THAT(
      messages_of_lines("[dns.bounds]\nin_flight = 0\nper_second = 1000001\nconnections = 5000\nidle = \"2h\"\n"
                        "queries = 1\ngrace = \"1s\"\n"),
      ElementsAre("p.toml:3:13: error: `in_flight` is an integer (0); accepted: an integer from 1 to 65536",
                  "p.toml:4:14: error: `per_second` is an integer (1000001); accepted: an integer from 1 to 1000000",
                  "p.toml:5:15: error: `connections` is an integer (5000); accepted: an integer from 1 to 4096",
                  "p.toml:6:8: error: `idle` is a string (\"2h\"); accepted: \"1s\" to \"1h\"",
                  "p.toml:7:1: error: unknown key `queries` in [dns.bounds]; accepted: in_flight, per_second, "
                  "fresh_per_second, connections, idle",
                  "p.toml:8:1: error: `grace` is a key of [dns]"));
}

TEST(PolicyLoader, TakesRulesAsStringsAndTablesOnly) {
  EXPECT_THAT(messages_of_lines("allow = [ 443 ]"),
              ElementsAre("p.toml:2:11: error: an item of `allow` is an integer (443); accepted: an endpoint as a "
                          "string, such as \"https://example.com\", or as a table, such as { host = \"example.com\", "
                          "service = \"https\" }"));
  EXPECT_THAT(messages_of_lines("allow = [ { host = \"a.example\", ports = [443] } ]"),
              ElementsAre("p.toml:2:41: error: `ports` is a list; accepted: a string"));
  EXPECT_THAT(messages_of_lines("allow = \"a.example\""),
              ElementsAre("p.toml:2:9: error: `allow` is a string (\"a.example\"); accepted: a list of strings"));
}

TEST(PolicyLoader, GivesEmptyListsTheirOwnSentence) {
  EXPECT_THAT(
      messages_of_lines("allow = []\ncgroup = []\n[dns]\nresolvers = []\n"),
      ElementsAre("p.toml:2:9: error: `allow` is an empty list; a policy that refuses everything leaves `allow` out",
                  "p.toml:3:10: error: `cgroup` is an empty list; leave it out instead",
                  StartsWith("p.toml:5:13: error: `resolvers` is an empty list")));
  EXPECT_THAT(messages_of_lines("deny = []\nlisten = []\n[dns]\nsearch = []\n"), IsEmpty());
}

TEST(PolicyLoader, RefusesMinTtlAboveMaxTtl) {
  EXPECT_THAT(messages_of_lines("[dns]\nmax_ttl = \"10s\"\nmin_ttl = \"20s\"\n"),
              ElementsAre("p.toml:4:11: error: `min_ttl` (20s) is more than `max_ttl` (10s)"));
  EXPECT_THAT(messages_of_lines("[dns]\nmax_ttl = \"1s\"\n"),
              ElementsAre("p.toml:3:11: error: `min_ttl` (5s) is more than `max_ttl` (1s)"));
}

TEST(PolicyLoader, RefusesPathsThatAreNoCgroups) {
  for (const char* path : {"ci.slice", "", "/a/../b", "/a//b", "/a/", "/a/./b", "/a\\nb"}) {
    EXPECT_THAT(messages_of_lines("cgroup = \"" + std::string(path) + "\""),
                ElementsAre(HasSubstr("p.toml:2:10: error: `cgroup`: ")))
        << path;
  }
  EXPECT_THAT(messages_of_lines("cgroup = [\"/ci.slice/*\", \"/a.service\", \"/\"]"), IsEmpty());
}

TEST(PolicyLoader, RefusesNamesThatAreNoFileNames) {
  const std::string longest(63, 'a');
  EXPECT_TRUE(load_policy("name = \"" + longest + "\"", Format::kToml, "p").ok());
  for (const std::string& name : {longest + "a", std::string(), std::string(".a"), std::string("-a"),
                                  std::string("a/b"), std::string("A"), std::string("a b"), std::string("\xc3\xbc")}) {
    EXPECT_FALSE(load_policy("name = \"" + name + "\"", Format::kToml, "p").ok()) << name;
  }
}

TEST(PolicyLoader, WarnsOfWhatIsProbablyNotMeant) {
  const Loaded<Policy> loaded = load_policy(
      "name = \"a\"\nallow = [ \"*example.com\", \"b.example\",\n \"tcp://B.example.:443\" ]", Format::kToml, "p");
  EXPECT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value.allow.size(), 3u);
  EXPECT_THAT(
      messages_of(loaded.diagnostics),
      ElementsAre("p:2:11: warning: \"*example.com\" has a `*` that stands for characters of one label only; for "
                  "every name below write `**.`",
                  "p:3:2: warning: \"tcp://B.example.:443\" is the same rule as that at p:2:27"));
}

TEST(PolicyLoader, ReportsASyntaxErrorAlone) {
  EXPECT_THAT(messages_of_toml("nmae = 1\nallow = [ \"a\n"), ElementsAre(StartsWith("p.toml:2:1")));
  EXPECT_THAT(messages_of_toml("nmae = 1\nallow = [ \"a\n"), ElementsAre(HasSubstr(" error: not valid TOML: ")));
}

TEST(PolicyLoader, EscapesWhatItQuotes) {
  EXPECT_THAT(messages_of_lines("\"\\u001b[2J\" = 1\nmode = \"\\u001b\"\n"),
              ElementsAre(HasSubstr("unknown key `\\x1b[2J`"), HasSubstr("`mode` is \"\\x1b\"; accepted")));
}

TEST(PolicyLoader, HoldsAsManyRulesAsItSays) {
  std::string list = "name = \"a\"\nallow = [";
  for (std::size_t i = 0; i < kMaxRules; ++i) list += "\"a" + std::to_string(i) + "\",";
  EXPECT_LT(list.size(), kMaxConfigBytes);
  EXPECT_THAT(messages_of_toml(list + "]"), IsEmpty());
  EXPECT_THAT(messages_of_toml(list + "\"b\"]"),
              ElementsAre("p.toml:1:1: error: the policy has 100001 rules; accepted: at most 100000"));
}

TEST(PolicyLoader, ReadsWhatAWorkloadsNeighboursMayDo) {
  const Loaded<Policy> loaded = load_policy(
      "name = \"a\"\ncgroup = [\"/ci.slice/job-*\", \"/system.slice/x-*.service\"]\nunarmed_children = \"refuse\"\n"
      "guard_shared = [\"/system.slice\"]\ncut_unattributed = true\n",
      Format::kToml, "a.toml");
  ASSERT_THAT(messages_of(loaded.diagnostics), IsEmpty());
  EXPECT_EQ(loaded.value.unarmed_children, UnarmedChildren::kRefuse);
  EXPECT_THAT(loaded.value.guard_shared, ElementsAre("/system.slice"));
  EXPECT_TRUE(loaded.value.cut_unattributed);
}

TEST(PolicyLoader, RefusesAGuardOnASharedCgroupUnlessItIsWrittenOut) {
  EXPECT_THAT(
      messages_of_lines("unarmed_children = \"refuse\"\ncgroup = [\"/a/b*\", \"/user.slice/*/x\", \"/*x\"]"),
      ElementsAre("p.toml:3:20: error: `unarmed_children = \"refuse\"` would take the sockets of every new cgroup "
                  "below /user.slice, which other programs share; if that is meant, write `guard_shared = "
                  "[\"/user.slice\"]`",
                  HasSubstr("p.toml:3:39: error: `unarmed_children = \"refuse\"` would take the sockets of every "
                            "new cgroup below /, which")));
  EXPECT_THAT(messages_of_lines("cgroup = \"/user.slice/*/x\""), IsEmpty());
}

TEST(PolicyLoader, TakesForGuardSharedOnlyWhatItsGlobsBeginWith) {
  constexpr const char* kAccepted =
      "; accepted: a shared cgroup such as \"/system.slice\" that one of the policy's globs "
      "begins with";
  EXPECT_THAT(
      messages_of_lines("unarmed_children = \"refuse\"\ncgroup = \"/a/b*\"\nguard_shared = [\"/a\", \"/user.slice\", "
                        "\"x\"]"),
      ElementsAre("p.toml:4:17: error: `guard_shared` has \"/a\"" + std::string(kAccepted),
                  "p.toml:4:23: error: `guard_shared` has \"/user.slice\"" + std::string(kAccepted),
                  HasSubstr("p.toml:4:38: error: `guard_shared`: `x` does not begin with `/`")));
  EXPECT_THAT(messages_of_lines("guard_shared = []"),
              ElementsAre("p.toml:2:16: error: `guard_shared` goes with `unarmed_children = \"refuse\"`, which is not "
                          "there"));
}

TEST(PolicyLoader, WarnsOfAGuardWithNothingToGuardAndOfAPathTwice) {
  EXPECT_THAT(messages_of_lines("cgroup = [\"/a\", \"/a\"]\nunarmed_children = \"refuse\""),
              ElementsAre("p.toml:2:17: warning: \"/a\" is in `cgroup` twice",
                          "p.toml:3:20: warning: `unarmed_children` says nothing here: no `cgroup` of the policy is a "
                          "glob"));
}

TEST(PolicyLoader, TakesBooleansWithoutQuotes) {
  EXPECT_THAT(
      messages_of_lines("cut_unattributed = \"true\""),
      ElementsAre("p.toml:2:20: error: `cut_unattributed` is a string (\"true\"); accepted: true or false, without "
                  "quotes"));
  EXPECT_TRUE(load_policy("{\"name\": \"a\", \"cut_unattributed\": true}", Format::kJson, "a").value.cut_unattributed);
}

TEST(PolicyLoader, BoundsTheCgroupsOfAPolicy) {
  std::string list;
  for (int i = 0; i < 257; ++i) list += "\"/a" + std::to_string(i) + "\",";
  EXPECT_THAT(messages_of_lines("cgroup = [" + list + "]"),
              ElementsAre("p.toml:2:10: error: `cgroup` has 257 items; accepted: at most 256"));
}

TEST(PolicyArguments, AreRulesWithoutAPosition) {
  const Loaded<Policy> loaded = load_policy_arguments({"registry.npmjs.org"}, {"tracker.example"});
  ASSERT_THAT(messages_of(loaded.diagnostics), IsEmpty());
  EXPECT_THAT(texts_of(loaded.value.allow), ElementsAre("tcp://registry.npmjs.org:443 --allow"));
  EXPECT_THAT(texts_of(loaded.value.deny), ElementsAre("tracker.example --deny"));
  EXPECT_EQ(loaded.value.name, "");
}

TEST(PolicyArguments, ReportEveryMistake) {
  EXPECT_THAT(messages_of(load_policy_arguments({"a/b", "*"}, {"c d"}).diagnostics),
              ElementsAre(StartsWith("--allow: error: `a/b`: "), StartsWith("--allow: error: `*`: "),
                          StartsWith("--deny: error: `c d`: ")));
}

TEST(Format, IsToldByNameThenByContent) {
  EXPECT_EQ(format_of("a.json", "name = 1"), Format::kJson);
  EXPECT_EQ(format_of("a.toml", "{}"), Format::kToml);
  EXPECT_EQ(format_of("-", "\n {"), Format::kJson);
  EXPECT_EQ(format_of("-", "name = \"a\""), Format::kToml);
  EXPECT_EQ(format_of("-", ""), Format::kToml);
}

}  // namespace
}  // namespace namewall
