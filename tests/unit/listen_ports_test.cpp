#include "policy/listen_ports.h"

#include <gtest/gtest.h>

namespace namewall {
namespace {

std::string text_of(std::string_view text) {
  const Result<PortSet> ports = parse_listen_ports(text);
  return ports ? ports->to_string() : "error";
}

TEST(ListenPorts, ReadsPortsRangesAndLists) {
  EXPECT_EQ(text_of("tcp:8080"), "tcp/8080");
  EXPECT_EQ(text_of("udp:53"), "udp/53");
  EXPECT_EQ(text_of("tcp:8000-8100"), "tcp/8000-8100");
  EXPECT_EQ(text_of("tcp:80,443,8000-8100"), "tcp/80,443,8000-8100");
  EXPECT_EQ(text_of("udp:*"), "udp/*");
}

TEST(ListenPorts, RefusesEverythingElse) {
  for (const char* text : {"", "8080", "tcp", "tcp:", "tcp:0", "tcp:65536", "tcp:9-8", "tcp:8080,", "tcp:,8080",
                           "sctp:80", "TCP:80", "tcp:80 ", "tcp://80", "icmp:0", "*:80", "tcp:1-2-3", "tcp:-1"}) {
    const Result<PortSet> ports = parse_listen_ports(text);
    ASSERT_FALSE(ports) << text;
  }
}

TEST(ListenPorts, SaysWhatIsAccepted) {
  EXPECT_EQ(parse_listen_ports("8080").error().what,
            "`8080` is not a port to listen on; accepted: tcp or udp, `:` and ports, such as \"tcp:8080\", "
            "\"tcp:8000-8100\", \"udp:53,123\", \"tcp:*\"");
  EXPECT_TRUE(parse_listen_ports("tcp:9-8").error().what.starts_with("`tcp:9-8`: "));
}

}  // namespace
}  // namespace namewall
