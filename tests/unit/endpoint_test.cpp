#include "policy/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>

namespace namewall {
namespace {

using ::testing::HasSubstr;

constexpr EndpointUse kAllow = EndpointUse::kAllow;
constexpr EndpointUse kDeny = EndpointUse::kDeny;

// The canonical form, or the sentence that refuses.
std::string read(std::string_view text, EndpointUse use = kAllow) {
  const auto endpoint = parse_endpoint(text, use);
  return endpoint ? to_canonical_string(*endpoint) : "error: " + endpoint.error().what;
}

PortSet ports(std::string_view text, EndpointUse use = kAllow) { return parse_endpoint(text, use).value().ports; }

TEST(Endpoint, BareHostIsHttpsInAllow) {
  EXPECT_EQ(read("registry.npmjs.org"), "tcp://registry.npmjs.org:443");
  EXPECT_EQ(read("192.0.2.1"), "tcp://192.0.2.1:443");
  EXPECT_EQ(read("10.0.0.0/8"), "tcp://10.0.0.0/8:443");
  EXPECT_EQ(read("[2001:db8::1]"), "tcp://[2001:db8::1]:443");
}

TEST(Endpoint, BareHostIsEverythingInDeny) {
  for (const char* host : {"tracker.github.com", "192.0.2.1", "10.0.0.0/8", "[2001:db8::]/32"}) {
    EXPECT_EQ(ports(host, kDeny), PortSet::all()) << host;
    EXPECT_EQ(read(host, kDeny), host);
  }
}

TEST(Endpoint, HostWithPortsIsTcpInBoth) {
  for (const EndpointUse use : {kAllow, kDeny}) {
    EXPECT_EQ(read("example.com:8080", use), "tcp://example.com:8080");
    EXPECT_EQ(read("example.com:22,8000-8080", use), "tcp://example.com:22,8000-8080");
    EXPECT_EQ(read("10.0.0.0/8:*", use), "tcp://10.0.0.0/8:*");
  }
}

TEST(Endpoint, SchemesGiveProtocolsAndDefaultPorts) {
  EXPECT_EQ(read("https://example.com"), "tcp://example.com:443");
  EXPECT_EQ(read("http://example.com"), "tcp://example.com:80");
  EXPECT_EQ(read("ssh://example.com"), "tcp://example.com:22");
  EXPECT_EQ(read("dns://192.0.2.53"), "*://192.0.2.53:53");
  EXPECT_EQ(read("HTTPS://example.com:8443"), "tcp://example.com:8443");
  EXPECT_EQ(read("udp://*.pool.ntp.org:123"), "udp://*.pool.ntp.org:123");
  EXPECT_EQ(read("*://10.20.0.0/16:5432"), "*://10.20.0.0/16:5432");
  EXPECT_EQ(read("https://example.com", kDeny), "tcp://example.com:443");
  EXPECT_TRUE(ports("*://example.com:443").contains(Protocol::kUdp, Port{443}));
  EXPECT_FALSE(ports("*://example.com:*").contains(Protocol::kIcmp, Port{}));
}

TEST(Endpoint, IcmpIsEchoAndTakesNoPort) {
  EXPECT_EQ(read("icmp://example.com"), "icmp://example.com");
  EXPECT_TRUE(ports("icmp://10.0.0.0/8").contains(Protocol::kIcmp, Port{}));
  EXPECT_FALSE(ports("icmp://10.0.0.0/8").contains(Protocol::kTcp, Port{443}));
  for (const char* text : {"icmp://example.com:8", "icmp://example.com:*", "icmp://example.com:"}) {
    EXPECT_THAT(read(text), HasSubstr("icmp takes no port (it is echo, ping), write icmp://example.com")) << text;
  }
}

TEST(Endpoint, SchemesWithoutAPortOfTheirOwnNeedOne) {
  for (const char* scheme : {"*", "tcp", "udp"}) {
    const std::string base = std::string(scheme) + "://example.com";
    EXPECT_THAT(read(base), HasSubstr("write `" + base + ":443`, or `" + base + ":*`"));
    EXPECT_THAT(read(base, kDeny), HasSubstr(":*` for every port"));
  }
  EXPECT_THAT(read("*://*"), HasSubstr("write `*://*:443`"));
}

TEST(Endpoint, EveryHostNeedsASchemeAndPorts) {
  EXPECT_EQ(read("tcp://*:443"), "tcp://*:443");
  EXPECT_EQ(read("https://*"), "tcp://*:443");
  EXPECT_EQ(read("*://*:*", kDeny), "*://*:*");
  EXPECT_TRUE(std::holds_alternative<AnyHost>(parse_endpoint("tcp://*:443", kAllow).value().host));
  EXPECT_THAT(read("*"), HasSubstr("a lone `*` is every host"));
  EXPECT_THAT(read("*:443"), HasSubstr("`tcp://*:443`"));
  EXPECT_THAT(read("*", kDeny), HasSubstr("`*://*:*`"));
  EXPECT_THAT(read("tcp://**:443"), HasSubstr("lone wildcard"));
}

TEST(Endpoint, NamesAreFoldedAndStoredAsAscii) {
  EXPECT_EQ(read("https://Bücher.Example."), "tcp://xn--bcher-kva.example:443");
  EXPECT_EQ(read("tcp://**.GitHub.com.:22,443"), "tcp://**.github.com:22,443");
  EXPECT_EQ(parse_endpoint("Example.COM", kAllow)->text, "Example.COM");
}

TEST(Endpoint, TheAgentLooksUpExactNamesOfAllow) {
  EXPECT_TRUE(parse_endpoint("a.example?resolve=agent", kAllow)->resolved_by_agent);
  EXPECT_FALSE(parse_endpoint("a.example?private", kAllow)->resolved_by_agent);
  EXPECT_EQ(read("a.example?resolve=agent"), "tcp://a.example:443?resolve=agent");
  EXPECT_EQ(read("a.example:22?resolve=agent&private"), "tcp://a.example:22?private&resolve=agent");
  EXPECT_THAT(read("*.a.example?resolve=agent"), HasSubstr("belongs to one exact name"));
  EXPECT_THAT(read("192.0.2.1?resolve=agent"), HasSubstr("belongs to a name"));
  EXPECT_THAT(read("tcp://*:443?resolve=agent"), HasSubstr("belongs to a name"));
  EXPECT_THAT(read("a.example?resolve=agent", kDeny), HasSubstr("what is denied is not looked up"));
  EXPECT_THAT(read("a.example?private&private"), HasSubstr("`private` is written twice"));
  for (const char* text :
       {"a.example?resolve=workload", "a.example?private&", "a.example?&private", "a.example?resolve"}) {
    EXPECT_THAT(read(text), HasSubstr("only `private` and `resolve=agent` are accepted, joined by `&`")) << text;
  }
}

TEST(Endpoint, PrivateBelongsToNamesInAllow) {
  const auto endpoint = parse_endpoint("https://nexus.corp.example?private", kAllow);
  ASSERT_TRUE(endpoint);
  EXPECT_TRUE(endpoint->permits_private);
  EXPECT_FALSE(parse_endpoint("https://nexus.corp.example", kAllow)->permits_private);
  EXPECT_EQ(read("nexus.corp.example:8081?private"), "tcp://nexus.corp.example:8081?private");
  EXPECT_EQ(read("**.corp.example?private"), "tcp://**.corp.example:443?private");
  EXPECT_THAT(read("10.0.0.1?private"), HasSubstr("an address rule opens a private address by itself"));
  EXPECT_THAT(read("tcp://*:443?private"), HasSubstr("belongs to a name"));
  EXPECT_THAT(read("nexus.corp.example?private", kDeny), HasSubstr("a denial needs no such permission"));
  for (const char* text : {"a.example?", "a.example?Private", "a.example?public", "a.example?private?private"}) {
    EXPECT_THAT(read(text), HasSubstr("only `private` and `resolve=agent` are accepted")) << text;
  }
}

TEST(Endpoint, PathsCannotBeEnforced) {
  EXPECT_THAT(read("https://host.example/x"), HasSubstr("paths cannot be enforced, write https://host.example"));
  EXPECT_THAT(read("https://host.example:8443/a:b@c?q"), HasSubstr("write https://host.example:8443"));
  EXPECT_THAT(read("host.example/x"), HasSubstr("paths cannot be enforced, write host.example"));
  EXPECT_THAT(read("https://192.0.2.1/x"), HasSubstr("paths cannot be enforced, write https://192.0.2.1"));
  EXPECT_THAT(read("https://[2001:db8::1]/x"), HasSubstr("paths cannot be enforced, write https://[2001:db8::1]"));
  EXPECT_THAT(read("10.0.0.0/8/x"), HasSubstr("paths cannot be enforced, write 10.0.0.0/8"));
  for (const char* text : {"https://host.example/", "https://host.example#a", "https://host.example/http://b",
                           "host.example/1", "https://host.example/?private"}) {
    EXPECT_THAT(read(text), HasSubstr("paths cannot be enforced")) << text;
  }
}

TEST(Endpoint, UserInfoIsRefusedAndNotSuggestedBack) {
  EXPECT_THAT(read("https://user:secret@host.example"), HasSubstr("write https://host.example"));
  EXPECT_THAT(read("git@github.com:22"),
              HasSubstr("user names and passwords are no part of an endpoint, write github.com:22"));
}

TEST(Endpoint, LocalhostIsNotAName) {
  for (const char* text :
       {"localhost", "LOCALHOST.", "http://localhost:8080", "a.localhost", "**.localhost", "ｌocalhost"}) {
    EXPECT_THAT(read(text), HasSubstr("`localhost` is no name that DNS answers")) << text;
  }
  EXPECT_EQ(read("localhost.example"), "tcp://localhost.example:443");
}

TEST(Endpoint, NothingIsAnError) {
  EXPECT_THAT(read(""), HasSubstr("an empty endpoint opens nothing"));
  for (const char* text : {"https://", "://", "//host.example", "/etc/passwd", "?private"}) {
    EXPECT_THAT(read(text), HasSubstr("error: ")) << text;
  }
  EXPECT_THAT(read("https://"), HasSubstr("no host is named"));
  EXPECT_THAT(read(":443"), HasSubstr("no host stands before the ports"));
  EXPECT_THAT(read("https://:443"), HasSubstr("no host stands before the ports"));
}

TEST(Endpoint, UnknownSchemesGetAListAndTheNearest) {
  EXPECT_THAT(read("htps://host.example"), HasSubstr("unknown scheme `htps`; did you mean `https`?"));
  EXPECT_THAT(read("ftp://host.example"), HasSubstr("ccepted: *, tcp, udp"));
  EXPECT_THAT(read("://host.example"), HasSubstr("unknown scheme"));
  EXPECT_THAT(read("https:host.example"), HasSubstr("a scheme is followed by `://`, write https://host.example"));
}

TEST(Endpoint, PortsAreChecked) {
  for (const char* text : {"a.example:0", "a.example:", "a.example:443-80", "a.example:http", "a.example:65536",
                           "a.example:443,", "https://a.example:0443", "tcp://a.example:-", "a.example:443:444"}) {
    EXPECT_THAT(read(text), HasSubstr("error: ")) << text;
  }
  EXPECT_THAT(read("a.example:"), HasSubstr("is not a port"));
}

TEST(Endpoint, OddIpv4SpellingsAreRefused) {
  for (const char* text : {"127.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "192.0.2.01", "192.0.2.256",
                           "1.2.3.4.", "1.2.3.4.5", "a.1", "a.0x", "１２７.0.0.1", "tcp://127.1:80", "a*.1"}) {
    EXPECT_THAT(read(text), HasSubstr("four decimal numbers")) << text;
  }
  EXPECT_THAT(read("192.168.1.*"), HasSubstr("an address has no wildcards; write a prefix"));
  EXPECT_EQ(read("1.1.example"), "tcp://1.1.example:443");
  EXPECT_EQ(read("0xab.example"), "tcp://0xab.example:443");
}

TEST(Endpoint, Ipv6StandsInBrackets) {
  EXPECT_EQ(read("udp://[2001:DB8::1]:53"), "udp://[2001:db8::1]:53");
  EXPECT_EQ(read("tcp://[2001:db8::]/32:22,80"), "tcp://[2001:db8::]/32:22,80");
  for (const char* text :
       {"2001:db8::1", "::1", "::", "tcp://2001:db8::1", "2001:db8::/32", "2001:db8::1:443", "::ffff:1.2.3.4"}) {
    EXPECT_THAT(read(text), HasSubstr("an IPv6 address stands in brackets")) << text;
  }
  for (const char* text : {"[192.0.2.1]", "[example.com]", "[]", "[fe80::1%eth0]", "[2001:db8::/32]", "[::1::]"}) {
    EXPECT_THAT(read(text), HasSubstr("brackets hold an IPv6 address")) << text;
  }
  EXPECT_THAT(read("[2001:db8::1"), HasSubstr("`[` is not followed by `]`"));
  EXPECT_THAT(read("[2001:db8::1]x"), HasSubstr("behind `]` stand ports or a prefix length"));
  EXPECT_EQ(read("[::ffff:192.0.2.1]"), "tcp://192.0.2.1:443");
  EXPECT_EQ(read("[::ffff:10.0.0.0]/104"), "tcp://10.0.0.0/8:443");
}

TEST(Endpoint, PrefixesAreWholeNetworks) {
  EXPECT_EQ(read("0.0.0.0/0"), "tcp://0.0.0.0/0:443");
  EXPECT_EQ(read("192.0.2.1/32"), "tcp://192.0.2.1:443");
  EXPECT_EQ(read("[::]/0"), "tcp://[::]/0:443");
  EXPECT_THAT(read("10.20.0.1/16"), HasSubstr("the network is `10.20.0.0/16`, the single address `10.20.0.1`"));
  EXPECT_THAT(read("[2001:db8::1]/32"), HasSubstr("the network is `[2001:db8::]/32`"));
  EXPECT_THAT(read("[::ffff:10.0.0.1]/104"), HasSubstr("the network is `10.0.0.0/8`"));
  EXPECT_THAT(read("[::ffff:10.0.0.0]/64"), HasSubstr("the network is `[::]/64`"));
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/8x", "10.0.0.0/999999999999", "[2001:db8::]/129"}) {
    EXPECT_THAT(read(text), HasSubstr("is not a prefix length")) << text;
  }
  EXPECT_THAT(read("10.0/8"), HasSubstr("`10.0` is not an address"));
}

TEST(Endpoint, StrayCharactersAreRefusedAndShownEscaped) {
  for (const char* text : {" example.com", "example.com ", "https://a b.com", "a.com\n", "\ta.com", "a.com, b.com"}) {
    EXPECT_THAT(read(text), HasSubstr("no spaces or control characters")) << text;
  }
  EXPECT_THAT(read("a\x1b[2J.com"), HasSubstr("`a\\x1b[2J.com`"));
  EXPECT_THAT(read("example.com/\x1b"), ::testing::Not(HasSubstr("\x1b")));
  EXPECT_THAT(read(std::string_view("a\0.com", 6)), HasSubstr("no spaces or control characters"));
  for (const char* text : {"ex%61mple.com", "example.com\\x", "a,b.com", "https://example.com／x", "a..b", "-*..b"}) {
    EXPECT_THAT(read(text), HasSubstr("error: ")) << text;
  }
}

TEST(Endpoint, AMistakeInABareNameIsNotQuotedTwice) {
  EXPECT_EQ(read("a..b"), "error: `a..b`: two dots in a row, or a dot at the beginning, leave a label empty");
}

TEST(Endpoint, CanonicalFormReadsBackAsTheSame) {
  for (const char* text :
       {"example.com", "*.example.com:1-10,20", "icmp://[2001:db8::]/32", "*://10.0.0.0/8:*", "udp://**.a.example:53",
        "dns://192.0.2.1", "https://nexus.example?private", "tcp://*:443", "[2001:db8::1]:22", "mqtt://a.example"}) {
    const Endpoint once = parse_endpoint(text, kAllow).value();
    const Endpoint twice = parse_endpoint(to_canonical_string(once), kAllow).value();
    EXPECT_EQ(once.host, twice.host) << text;
    EXPECT_EQ(once.ports, twice.ports) << text;
    EXPECT_EQ(once.permits_private, twice.permits_private) << text;
  }
}

// Pieces of endpoints in any order: most are refused, none may be read as something that reads back differently.
TEST(Endpoint, RandomTextIsRefusedOrReadsBackAsTheSame) {
  constexpr const char* kPieces[] = {
      "a",    "example.com", "*",   "**.",      "*.",    ".",    "://",      "https",     "tcp",
      "icmp", ":",           "443", "0",        "-",     ",",    "/",        "8",         "[",
      "]",    "2001:db8::",  "::1", "10.0.0.0", "127.1", "0x7f", "?private", "?",         "@",
      "#",    "%41",         "\\",  "ü",        "／",    "。",   "\x1b",     "localhost", "::ffff:"};
  std::mt19937 random(1);  // the same texts in every run
  std::size_t accepted = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string text;
    for (auto pieces = 1 + random() % 6; pieces > 0; --pieces) text += kPieces[random() % std::size(kPieces)];
    for (const EndpointUse use : {kAllow, kDeny}) {
      const auto once = parse_endpoint(text, use);
      if (!once) {
        const std::string& what = once.error().what;
        EXPECT_TRUE(std::all_of(what.begin(), what.end(), [](char c) { return c >= 0x20 && c < 0x7f; })) << what;
        continue;
      }
      ++accepted;
      const auto twice = parse_endpoint(to_canonical_string(*once), use);
      ASSERT_TRUE(twice) << text << ": " << twice.error().what;
      EXPECT_EQ(once->host, twice->host) << text;
      EXPECT_EQ(once->ports, twice->ports) << text;
      EXPECT_EQ(once->permits_private, twice->permits_private) << text;
    }
  }
  EXPECT_GT(accepted, 1000U);
}

}  // namespace
}  // namespace namewall
