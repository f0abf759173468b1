#include "policy/service_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> lines_of(std::span<const Service> services) {
  std::vector<std::string> out;
  for (const Service& service : services) {
    out.push_back(service.name + " " + std::to_string(service.port.number) + "/" + to_string(service.protocol));
  }
  return out;
}

TEST(ServiceList, ReadsNamesPortsProtocolsAndAliases) {
  const auto services = parse_service_list(
      "# Network services\n"
      "ssh\t\t22/tcp\t# SSH\n"
      "postgresql 5432/tcp  postgres PgSQL#PostgreSQL\n"
      "domain 53/tcp\ndomain 53/udp");
  EXPECT_THAT(lines_of(services), ElementsAre("domain 53/tcp", "domain 53/udp", "pgsql 5432/tcp", "postgres 5432/tcp",
                                              "postgresql 5432/tcp", "ssh 22/tcp"));
}

TEST(ServiceList, LeavesOutWhatIsNoEntryOfTcpOrUdp) {
  EXPECT_THAT(parse_service_list("ssh\nssh 22\nssh tcp\nssh /tcp\nssh 22x/tcp\nssh -1/tcp\nssh 65536/tcp\n"
                                 "ssh 0/tcp\nssh 22/sctp\n\n   \n#ssh 22/tcp\n"),
              IsEmpty());
}

TEST(ServiceList, TellsAnEntryThatIsThereTwiceOnce) {
  EXPECT_THAT(lines_of(parse_service_list("a 1/tcp\nA 1/TCP b\nb 1/tcp")), ElementsAre("a 1/tcp", "b 1/tcp"));
}

TEST(ServiceList, EndsAtItsBound) {
  std::string text;
  for (std::size_t i = 0; i < kMaxServices + 10; ++i) text += "s" + std::to_string(i) + " 1/tcp alias\n";
  EXPECT_LE(parse_service_list(text).size(), kMaxServices);
}

TEST(ServiceList, FindsEveryEntryOfANameWhateverItsCase) {
  const auto services = parse_service_list("domain 53/tcp\ndomain 53/udp\ndomain-s 853/tcp\na 1/tcp");
  EXPECT_THAT(lines_of(find_services(services, "Domain")), ElementsAre("domain 53/tcp", "domain 53/udp"));
  EXPECT_THAT(find_services(services, "domai"), IsEmpty());
  EXPECT_THAT(find_services({}, "domain"), IsEmpty());
}

}  // namespace
}  // namespace namewall
