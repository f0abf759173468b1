#include "policy/overlap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <iostream>

#include "policy/group_file.h"
#include "policy/host_loader.h"
#include "policy/pattern_cover.h"
#include "policy/policy_loader.h"

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Policy overlap_policy(const std::string& file, const std::string& lines, const std::vector<Group>& groups = {}) {
  const auto loaded = load_policy("name = \"" + file.substr(0, file.find('.')) + "\"\n" + lines, Format::kToml, file,
                                  {}, {groups, {}, {}});
  EXPECT_TRUE(loaded.ok()) << loaded.diagnostics.front().to_string();
  return loaded.value;
}

HostPolicy overlap_host(const std::string& text) {
  const auto loaded = load_host_policy(text, Format::kToml, "host.toml");
  EXPECT_TRUE(loaded.ok());
  return loaded.value;
}

HostBlock block(const std::string& endpoint, const std::string& from, std::vector<std::string> exempt = {}) {
  return {{*parse_endpoint(endpoint, EndpointUse::kDeny), {"host.toml", 7, 1}, from}, std::move(exempt)};
}

std::vector<std::string> found_in(const Policy& policy, const HostPolicy& host = {},
                                  const std::vector<const Policy*>& parents = {}) {
  const auto is_public = [](std::string_view name) { return name == "co.uk" || name == "github.io" || name == "com"; };
  std::vector<std::string> lines;
  for (const Diagnostic& found : check_overlap({policy, host, parents, {}, is_public}))
    lines.push_back(found.to_string());
  return lines;
}

std::vector<std::string> found_in(const std::string& lines, const HostPolicy& host = {},
                                  const std::vector<const Policy*>& parents = {}) {
  return found_in(overlap_policy("p.toml", lines), host, parents);
}

TEST(Overlap, AnAllowThatTheHostDeniesWhollyCannotBeSatisfied) {
  EXPECT_THAT(
      found_in("allow = [\"https://example.com\"]\n", overlap_host("deny = [\n\"example.com\"]\n")),
      ElementsAre("p.toml:2:10: error: `https://example.com` cannot be satisfied: it is denied by host.toml:2"));
  EXPECT_THAT(
      found_in("allow = [\"tcp://api.example.com:22\"]\n", overlap_host("deny = [\"tcp://**.example.com:1-1023\"]\n")),
      ElementsAre(HasSubstr("cannot be satisfied: it is denied by host.toml:1")));
  EXPECT_THAT(found_in("allow = [\"tcp://10.1.0.0/16:22\"]\n", overlap_host("deny = [\"10.0.0.0/8\"]\n")),
              ElementsAre(HasSubstr("cannot be satisfied: it is denied by host.toml:1")));
  EXPECT_THAT(found_in("allow = [\"tcp://e.example:80,443\"]\n",
                       overlap_host("deny = [\"tcp://*:80\",\n\"tcp://e.example:443\"]\n")),
              ElementsAre(HasSubstr("cannot be satisfied: it is denied by host.toml:1 and host.toml:2")));
}

TEST(Overlap, AnAllowThatTheHostDeniesInPartSaysWhichPortsAreLost) {
  EXPECT_THAT(found_in("allow = [\"*://example.com:*\"]\n", overlap_host("\n\ndeny = [\"*://example.com:8080\"]\n")),
              ElementsAre("p.toml:2:10: warning: `*://example.com:*`: port 8080 is denied by host.toml:3"));
  EXPECT_THAT(found_in("allow = [\"tcp://example.com:1-100\"]\n", overlap_host("deny = [\"tcp://*:22,80-90\"]\n")),
              ElementsAre("p.toml:2:10: warning: `tcp://example.com:1-100`: ports 22,80-90 are denied by host.toml:1"));
  EXPECT_THAT(found_in("allow = [\"*://example.com:53\"]\n", overlap_host("deny = [\"udp://*:*\"]\n")),
              ElementsAre("p.toml:2:10: warning: `*://example.com:53`: udp port 53 is denied by host.toml:1"));
  EXPECT_THAT(found_in("allow = [\"*://example.com:*\"]\n", overlap_host("deny = [\"udp://*:*\"]\n")),
              ElementsAre("p.toml:2:10: warning: `*://example.com:*`: every udp port is denied by host.toml:1"));
}

TEST(Overlap, AnAllowThatTheHostDeniesInPartSaysWhichNamesAndAddressesAreLost) {
  EXPECT_THAT(found_in("allow = [\"tcp://10.20.0.0/16:22\"]\n", overlap_host("deny = [\"*://10.20.9.0/24:*\"]\n")),
              ElementsAre("p.toml:2:10: warning: `tcp://10.20.0.0/16:22`: `10.20.9.0/24` is denied by host.toml:1"));
  EXPECT_THAT(
      found_in("allow = [\"tcp://**.example.com:22,443\"]\n", overlap_host("deny = [\"tcp://a.example.com:22\"]\n")),
      ElementsAre("p.toml:2:10: warning: `tcp://**.example.com:22,443`: `a.example.com` on port 22 is denied by "
                  "host.toml:1"));
  EXPECT_THAT(
      found_in("allow = [\"https://**.example.com\"]\n",
               overlap_host("deny = [\"a.example.com\", \"b.example.com\", \"c.example.com\", \"d.e.example.com\"]\n")),
      ElementsAre("p.toml:2:10: warning: `https://**.example.com`: `a.example.com`, `b.example.com`, "
                  "`c.example.com` and 1 more are denied by host.toml:1"));
}

TEST(Overlap, BlocksOfTheHostCountAsDeniesAndSpareTheExempt) {
  HostPolicy host;
  host.blocks = {block("udp://*:*", "limits.udp", {"q"})};
  EXPECT_THAT(found_in("allow = [\"udp://ntp.example:123\"]\n", host),
              ElementsAre("p.toml:2:10: error: `udp://ntp.example:123` cannot be satisfied: it is denied by "
                          "host.toml:7 (limits.udp)"));
  EXPECT_THAT(found_in(overlap_policy("q.toml", "allow = [\"udp://ntp.example:123\"]\n"), host), IsEmpty());
}

TEST(Overlap, BlocksSpareTheResolversThatAPolicyTrusts) {
  HostPolicy host;
  host.blocks = {block("10.0.0.0/8", "block_networks")};
  const Policy policy = overlap_policy("p.toml", "allow = [\"dns://10.0.0.2\"]\n");
  EXPECT_THAT(check_overlap({policy, host, {}, {{*parse_address("10.0.0.2"), Port{53}}}, {}}), IsEmpty());
  EXPECT_EQ(check_overlap({policy, host, {}, {{*parse_address("10.0.0.3"), Port{53}}}, {}}).size(), 1u);
}

TEST(Overlap, PrivateAnswersThatTheHostBlocks) {
  HostPolicy host;
  for (const char* network : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "[fc00::]/7"}) {
    host.blocks.push_back(block(network, "block_networks"));
  }
  EXPECT_THAT(found_in("allow = [\"https://nexus.example?private\"]\n", host),
              ElementsAre("p.toml:2:10: warning: `https://nexus.example?private`: private answers are denied by "
                          "host.toml:7 (block_networks)"));
  EXPECT_THAT(
      found_in("allow = [\"https://db.internal?private\"]\n", host),
      ElementsAre("p.toml:2:10: error: `https://db.internal?private` cannot be satisfied: the private addresses "
                  "that it can have are denied by host.toml:7 (block_networks)"));
}

TEST(Overlap, ItsOwnDenyOfAWholeAllowIsAMistakeAndAnExceptionIsNot) {
  EXPECT_THAT(found_in("allow = [\"https://a.example\"]\ndeny = [\"**.example\"]\n"),
              ElementsAre("p.toml:2:10: error: `https://a.example` cannot be satisfied: it is denied by p.toml:3"));
  EXPECT_THAT(found_in("allow = [\"tcp://a.example:22,443\"]\ndeny = [\"tcp://a.example:22\"]\n"),
              ElementsAre("p.toml:2:10: warning: `tcp://a.example:22,443`: port 22 is denied by p.toml:3"));
  EXPECT_THAT(found_in("allow = [\"tcp://**.example.com:443\", \"*://10.20.0.0/16:5432\"]\ndeny = [\"t.example.com\", "
                       "\"*://10.20.9.0/24:*\"]\n"),
              IsEmpty());
}

TEST(Overlap, AChildHasOnlyWhatItsParentPermits) {
  const Policy base = overlap_policy("base.toml", "allow = [\"https://**.example.com\", \"tcp://10.0.0.0/8:22\"]\n");
  EXPECT_THAT(
      found_in("allow = [\"https://other.example\"]\n", {}, {&base}),
      ElementsAre("p.toml:2:10: error: `https://other.example` cannot be satisfied: nothing in base.toml permits it"));
  EXPECT_THAT(found_in("allow = [\"tcp://a.example.com:80,443\"]\n", {}, {&base}),
              ElementsAre("p.toml:2:10: warning: `tcp://a.example.com:80,443`: port 80 is not permitted by base.toml"));
  EXPECT_THAT(found_in("allow = [\"https://a.example.com\", \"tcp://10.1.0.0/16:22\"]\n", {}, {&base}), IsEmpty());
  const Policy one = overlap_policy("one.toml", "allow = [\"https://a.example.com\"]\n");
  EXPECT_THAT(
      found_in("allow = [\"https://**.example.com\"]\n", {}, {&one}),
      ElementsAre("p.toml:2:10: warning: `https://**.example.com`: one.toml permits only `a.example.com` of it"));
  EXPECT_THAT(
      found_in("allow = [\"192.0.2.1\"]\n", {}, {&one}),
      ElementsAre("p.toml:2:10: warning: `192.0.2.1`: no address rule of one.toml permits it; an answer that it "
                  "learns may"));
  EXPECT_THAT(found_in("allow = [\"https://a.example.com?private\"]\n", {}, {&one}),
              ElementsAre("p.toml:2:10: warning: `https://a.example.com?private`: private answers are not permitted by "
                          "one.toml"));
}

TEST(Overlap, AParentsDenyAndAuditMode) {
  const Policy base = overlap_policy("base.toml", "allow = [\"https://**.example.com\"]\ndeny = [\"t.example.com\"]\n");
  EXPECT_THAT(found_in("allow = [\"https://t.example.com\"]\n", {}, {&base}),
              ElementsAre(HasSubstr("cannot be satisfied: it is denied by base.toml:3")));
  const Policy audit = overlap_policy("audit.toml", "mode = \"audit\"\n");
  EXPECT_THAT(found_in("allow = [\"https://t.example.com\"]\n", {}, {&audit}), IsEmpty());
}

TEST(Overlap, ListeningNeedsHostAndParent) {
  const Policy base = overlap_policy("base.toml", "listen = [\"tcp:80\"]\n");
  EXPECT_THAT(found_in("listen = [\"tcp:80\", \"tcp:8080\"]\n", {}, {&base}),
              ElementsAre("p.toml:1:1: warning: `listen`: port 8080 is not permitted by base.toml"));
  HostPolicy host;
  host.listen_limit = {true, {}, {"host.toml", 4, 1}};
  EXPECT_THAT(found_in("listen = [\"tcp:80\"]\n", host),
              ElementsAre("p.toml:1:1: warning: `listen` cannot be satisfied: listening is denied by host.toml:4"));
}

TEST(Overlap, FindsTheParentsOfCgroups) {
  const auto with_cgroup = [](const std::string& name, const std::string& cgroup) {
    return overlap_policy(name + ".toml", "cgroup = " + cgroup + "\n");
  };
  const Policy ci = with_cgroup("ci", "\"/ci.slice\""), job = with_cgroup("job", "\"/ci.slice/*\""),
               step = with_cgroup("step", "[\"/ci.slice/a/step\", \"/ci.slice/*/x\"]"),
               other = with_cgroup("other", "\"/o\""), some = with_cgroup("some", "[\"/ci.slice/b\", \"/o/b\"]");
  const auto parents = find_parents({&ci, &job, &step, &other, &some});
  EXPECT_THAT(parents[0], IsEmpty());
  EXPECT_THAT(parents[1], ElementsAre(&ci));
  EXPECT_THAT(parents[2], ElementsAre(&ci, &job));
  EXPECT_THAT(parents[3], IsEmpty());
  EXPECT_THAT(parents[4], IsEmpty());
}

TEST(Overlap, RulesThatChangeNothing) {
  EXPECT_THAT(found_in("allow = [\n\"https://**.example.com\",\n\"https://a.example.com\"]\n"),
              ElementsAre("p.toml:4:1: warning: `https://a.example.com` changes nothing: `https://**.example.com` "
                          "(p.toml:3) allows it already"));
  EXPECT_THAT(
      found_in("allow = [\"https://**.example.com\"]\ndeny = [\"*.a.example.com\",\n\"x.a.example.com\"]\n"),
      ElementsAre("p.toml:4:1: warning: `x.a.example.com` changes nothing: `*.a.example.com` (p.toml:3) denies it "
                  "already"));
  EXPECT_THAT(found_in("allow = [\"https://a.example\"]\ndeny = [\"b.example\"]\n"),
              ElementsAre("p.toml:3:9: warning: `b.example` denies nothing that `allow` opens"));
  EXPECT_THAT(found_in("allow = [\"https://a.example\"]\ndeny = [\"192.0.2.1\"]\n"), IsEmpty())
      << "the answer for a.example may be that address";
  EXPECT_THAT(found_in("allow = [\"https://**.example.com\", \"https://a.example.com?private\", "
                       "\"https://b.example.com?resolve=agent\"]\n"),
              IsEmpty());
  EXPECT_THAT(found_in("allow = [\"tcp://0.0.0.0/0:22\", \"tcp://127.0.0.1:22\"]\n"),
              ElementsAre(HasSubstr("IPv4 internet")))
      << "a wide rule does not reach into loopback";
}

TEST(Overlap, EqualRulesDoNotMakeEachOtherRedundant) {
  EXPECT_THAT(found_in("allow = [\"tcp://a.example:1,2\", \"tcp://a.example:2,3\"]\n"), IsEmpty());
  EXPECT_THAT(found_in("allow = [\"tcp://a.example:1\", \"tcp://a.example:1,2\"]\n"),
              ElementsAre("p.toml:2:10: warning: `tcp://a.example:1` changes nothing: `tcp://a.example:1,2` (p.toml:2) "
                          "allows it already"));
}

TEST(Overlap, PatternsThatAreWiderThanMeant) {
  EXPECT_THAT(found_in("allow = [\"https://*.co.uk\"]\n"),
              ElementsAre("p.toml:2:10: warning: `https://*.co.uk`: `co.uk` is a public suffix: below it everybody can "
                          "have a name"));
  EXPECT_THAT(found_in("allow = [\"https://api.*.com\"]\n"), ElementsAre(HasSubstr("`com` is a public suffix")));
  EXPECT_THAT(found_in("allow = [\"https://**.example.co.uk\"]\n"), IsEmpty());
  EXPECT_THAT(found_in("allow = [\"https://example.*\"]\n"),
              ElementsAre("p.toml:2:10: warning: `https://example.*`: the last label is a wildcard: names of every "
                          "top-level domain match"));
  EXPECT_THAT(found_in("allow = [\"tcp://*:443\"]\n"),
              ElementsAre("p.toml:2:10: warning: `tcp://*:443`: every name and every address is allowed on port 443: "
                          "other rules decide nothing there"));
  EXPECT_THAT(
      found_in("allow = [\"tcp://[2000::]/3:443\"]\n"),
      ElementsAre("p.toml:2:10: warning: `tcp://[2000::]/3:443`: so wide a range of addresses holds much of the "
                  "IPv6 internet: names decide little on port 443"));
  EXPECT_THAT(found_in("allow = [\"tcp://10.0.0.0/8:443\"]\n"), IsEmpty());
}

TEST(Overlap, NamesThatHaveOnlyPrivateAnswers) {
  for (const char* name : {"db.internal", "printer.local", "nas.lan", "x.home.arpa", "git.corp", "db",
                           "1.0.0.10.in-addr.arpa", "1.0.20.172.in-addr.arpa"}) {
    EXPECT_THAT(
        found_in("allow = [\"https://" + std::string(name) + "\"]\n"),
        ElementsAre("p.toml:2:10: warning: `https://" + std::string(name) +
                    "`: such names have private addresses, and private answers open nothing without `?private`"));
  }
  EXPECT_THAT(found_in("allow = [\"https://db.internal?private\"]\n"), IsEmpty());
  EXPECT_THAT(found_in("allow = [\"https://db.internal\"]\n", overlap_host("private_names = [\"**.internal\"]\n")),
              IsEmpty());
  EXPECT_THAT(found_in("allow = [\"https://internal.example\"]\n"), IsEmpty());
}

TEST(Overlap, OfAGroupOneSentenceIsTold) {
  std::vector<Diagnostic> diagnostics;
  const std::vector<Group> groups = resolve_groups({{"g",
                                                     "1",
                                                     {{"https://a.example", {"g.toml", 4, 3}},
                                                      {"https://b.example", {"g.toml", 5, 3}},
                                                      {"tcp://c.example:1,2", {"g.toml", 6, 3}}},
                                                     {"g.toml", 1, 1}}},
                                                   {}, diagnostics);
  const Policy policy = overlap_policy("p.toml", "allow = [\"@g\"]\n", groups);
  EXPECT_THAT(
      found_in(policy, overlap_host("deny = [\"a.example\", \"tcp://c.example:2\"]\n")),
      ElementsAre("p.toml:1:1: warning: @g: 1 of its 3 rules cannot be satisfied: `https://a.example`; of the "
                  "first: it is denied by host.toml:1",
                  "p.toml:1:1: warning: @g: 1 of its 3 rules are cut: `tcp://c.example:1,2` (port 2 is denied by "
                  "host.toml:1)"));
  EXPECT_THAT(
      found_in(policy, overlap_host("deny = [\"**.example\"]\n")),
      ElementsAre("p.toml:1:1: error: @g cannot be satisfied, in none of its 3 rules: `https://a.example`: it is "
                  "denied by host.toml:1"));
}

TEST(PatternCover, OfPatterns) {
  const auto wide = [](const char* a, const char* b) { return covers(*NamePattern::parse(a), *NamePattern::parse(b)); };
  EXPECT_TRUE(wide("**.a.x", "b.a.x") && wide("**.a.x", "c.b.a.x") && wide("**.a.x", "*.a.x") &&
              wide("**.a.x", "**.a.x"));
  EXPECT_TRUE(wide("**.a.x", "**.b.a.x") && wide("*.a.x", "b*.a.x") && wide("b*.a.x", "bc*.a.x") &&
              wide("*.*.x", "a.*.x"));
  EXPECT_FALSE(wide("**.a.x", "a.x") || wide("*.a.x", "**.a.x") || wide("*.a.x", "c.b.a.x") || wide("b*.a.x", "*.a.x"));
  EXPECT_FALSE(wide("**.b.a.x", "**.a.x") || wide("*b.a.x", "b*.a.x") || wide("a.x", "*.x") ||
               wide("**.ba.x", "**.a.x"));
}

TEST(Overlap, TenThousandRulesBesideAThousandOfTheHostTakeNoTime) {
  std::string allow = "allow = [";
  for (int i = 0; i < 10'000; ++i) {
    const std::string n = std::to_string(i);
    allow += i % 5 == 0   ? "\"https://*.z" + n + ".example.com\","
             : i % 5 == 1 ? "\"tcp://10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".0/24:22\","
                          : "\"https://h" + n + ".example.com\",";
  }
  std::string deny = "deny = [";
  for (int i = 0; i < 1'000; ++i) {
    deny += i % 2 == 0 ? "\"h" + std::to_string(i * 7) + ".example.com\","
                       : "\"10." + std::to_string(i / 200) + "." + std::to_string(i % 256) + ".7\",";
  }
  const Policy policy = overlap_policy("p.toml", allow + "]\n");
  const HostPolicy host = overlap_host(deny + "]\n");
  const std::clock_t start = std::clock();
  const auto found = check_overlap({policy, host, {&policy}, {}, {}});
  const double milliseconds = 1000.0 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_GT(found.size(), 300u);
  std::cout << "check_overlap: " << milliseconds << " ms of processor time\n";
  EXPECT_LT(milliseconds, 900);
}

TEST(Overlap, AListMadeToBeExpensiveIsNotComparedToItsEnd) {
  std::string allow = "allow = [";
  for (int i = 0; i < 4'000; ++i) allow += "\"https://a" + std::to_string(i) + "x*.example.com\",";
  const std::vector<std::string> found = found_in(allow + "]\n");
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(found.front(), HasSubstr("the lists are too long and too much alike to be compared to their end"));
}

}  // namespace
}  // namespace namewall
