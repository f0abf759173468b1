#include "policy/scheme.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Scheme, KnowsProtocolsAndDefaultPorts) {
  EXPECT_THAT(find_scheme("*")->protocols, ElementsAre(Protocol::kTcp, Protocol::kUdp));
  EXPECT_THAT(find_scheme("udp")->protocols, ElementsAre(Protocol::kUdp));
  EXPECT_THAT(find_scheme("dns")->protocols, ElementsAre(Protocol::kTcp, Protocol::kUdp));
  const std::pair<const char*, std::uint16_t> ports[] = {{"http", 80},       {"https", 443},  {"ssh", 22},
                                                         {"postgres", 5432}, {"mysql", 3306}, {"redis", 6379},
                                                         {"mqtt", 1883},     {"dns", 53}};
  for (const auto& [name, port] : ports) EXPECT_EQ(find_scheme(name)->default_port, Port{port}) << name;
  for (const char* name : {"*", "tcp", "udp", "icmp"}) EXPECT_FALSE(find_scheme(name)->default_port) << name;
  EXPECT_FALSE(find_scheme("icmp")->takes_ports());
  EXPECT_EQ(find_scheme("HTTPS")->name, "https");
}

TEST(Scheme, SuggestsTheNearestAndListsAll) {
  EXPECT_THAT(find_scheme("htps").error().what, HasSubstr("did you mean `https`?"));
  EXPECT_THAT(find_scheme("postgresql").error().what, HasSubstr("did you mean `postgres`?"));
  EXPECT_THAT(find_scheme("gopher").error().what, Not(HasSubstr("did you mean")));
  EXPECT_THAT(find_scheme("gopher").error().what,
              EndsWith("ccepted: *, tcp, udp, icmp, http, https, ssh, postgres, mysql, redis, mqtt, dns"));
}

}  // namespace
}  // namespace namewall
