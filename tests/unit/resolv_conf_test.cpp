#include "policy/resolv_conf.h"

#include <gtest/gtest.h>

namespace namewall {
namespace {

std::vector<std::string> nameservers_of(std::string_view text) {
  std::vector<std::string> out;
  for (const ResolverAddress& server : parse_resolv_conf(text).nameservers) out.push_back(server.address.to_string());
  return out;
}

std::vector<std::string> search_of(std::string_view text) {
  std::vector<std::string> out;
  for (const DomainName& domain : parse_resolv_conf(text).search) out.push_back(domain.text());
  return out;
}

using Strings = std::vector<std::string>;

TEST(ResolvConf, ReadsNameserversInOrder) {
  EXPECT_EQ(nameservers_of("nameserver 192.0.2.1\nnameserver\t2001:db8::53\n"), (Strings{"192.0.2.1", "2001:db8::53"}));
  EXPECT_EQ(parse_resolv_conf("nameserver 192.0.2.1").nameservers[0].port, Port{53});
}

TEST(ResolvConf, IsLoopbackWithoutNameserver) {
  EXPECT_EQ(nameservers_of(""), Strings{"127.0.0.1"});
  EXPECT_EQ(nameservers_of("nameserver\nnameserver \nnameserver resolver.example\n"), Strings{"127.0.0.1"});
}

TEST(ResolvConf, KeepsThreeNameserversAsGlibc) {
  EXPECT_EQ(nameservers_of("nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n"),
            (Strings{"192.0.2.1", "192.0.2.2", "192.0.2.3"}));
}

TEST(ResolvConf, KeepsTheAddressOfAZonedNameserver) {
  EXPECT_EQ(nameservers_of("nameserver fe80::1%eth0\n"), Strings{"fe80::1"});
  EXPECT_EQ(nameservers_of("nameserver 192.0.2.1%eth0\n"), Strings{"127.0.0.1"});
}

TEST(ResolvConf, IgnoresCommentsAndKeywordsThatDoNotBeginTheLine) {
  EXPECT_EQ(nameservers_of("#nameserver 192.0.2.1\n;nameserver 192.0.2.2\n nameserver 192.0.2.3\n"
                           "nameservers 192.0.2.4\nnameserver 192.0.2.5#first\nnameserver 192.0.2.6 ; second\n"),
            (Strings{"192.0.2.5", "192.0.2.6"}));
}

TEST(ResolvConf, LastSearchOrDomainWins) {
  EXPECT_EQ(search_of("search a.example b.example\nsearch c.example\td.example \n"),
            (Strings{"c.example", "d.example"}));
  EXPECT_EQ(search_of("search a.example b.example\ndomain c.example d.example\n"), Strings{"c.example"});
  EXPECT_EQ(search_of("domain c.example\nsearch a.example\n"), Strings{"a.example"});
  EXPECT_EQ(search_of("search a.example\nsearch \n"), Strings{"a.example"});
}

TEST(ResolvConf, SearchOfTheRootMeansNone) { EXPECT_EQ(search_of("search a.example\nsearch .\n"), Strings{}); }

TEST(ResolvConf, KeepsMoreSearchDomainsThanOldGlibcUses) {
  EXPECT_EQ(search_of("search a b c d e f g h\n").size(), 8u);
}

TEST(ResolvConf, ReadsNdotsAmongOtherOptions) {
  EXPECT_EQ(parse_resolv_conf("").ndots, 1u);
  EXPECT_EQ(parse_resolv_conf("options edns0 trust-ad\noptions ndots:5 timeout:1\n").ndots, 5u);
  EXPECT_EQ(parse_resolv_conf("options ndots:99\n").ndots, 15u);
  EXPECT_EQ(parse_resolv_conf("options ndots:99999999999999\n").ndots, 15u);
  EXPECT_EQ(parse_resolv_conf("options ndots:x\n").ndots, 0u);
  EXPECT_EQ(parse_resolv_conf("options ndots\n").ndots, 1u);
}

TEST(ResolverAddress, AcceptsFourForms) {
  const auto text_of = [](std::string_view text) {
    const std::optional<ResolverAddress> resolver = parse_resolver_address(text);
    return resolver ? resolver->address.to_string() + " " + std::to_string(resolver->port.number) : "none";
  };
  EXPECT_EQ(text_of("192.0.2.1"), "192.0.2.1 53");
  EXPECT_EQ(text_of("192.0.2.1:5353"), "192.0.2.1 5353");
  EXPECT_EQ(text_of("2001:db8::1"), "2001:db8::1 53");
  EXPECT_EQ(text_of("[2001:db8::1]:5353"), "2001:db8::1 5353");
  EXPECT_EQ(text_of("[2001:db8::1]"), "2001:db8::1 53");
}

TEST(ResolverAddress, RefusesEverythingElse) {
  for (const char* text :
       {"", "resolver.example", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:053", "192.0.2.1:65536", "192.0.2.1:53x",
        "[192.0.2.1]:53", "[2001:db8::1", "[2001:db8::1]53", "[]:53", "[]", "192.0.2", "system", "192.0.2.1 "}) {
    EXPECT_FALSE(parse_resolver_address(text)) << text;
  }
}

}  // namespace
}  // namespace namewall
