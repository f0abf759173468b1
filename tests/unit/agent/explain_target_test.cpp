#include "agent/explain_target.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

std::string text_of(std::string_view text) {
  const Result<ExplainTarget> target = parse_explain_target(text);
  return target ? target->to_string() : "error";
}

TEST(ExplainTarget, IsHttpsWhereNothingElseIsSaid) {
  EXPECT_EQ(text_of("GitHub.com."), "tcp github.com:443");
  EXPECT_EQ(text_of("192.0.2.1"), "tcp 192.0.2.1:443");
  EXPECT_EQ(text_of("2001:db8::1"), "tcp [2001:db8::1]:443");
}

TEST(ExplainTarget, IsWrittenAsARule) {
  EXPECT_EQ(text_of("github.com:22"), "tcp github.com:22");
  EXPECT_EQ(text_of("ssh://github.com"), "tcp github.com:22");
  EXPECT_EQ(text_of("udp://[2001:db8::1]:53"), "udp [2001:db8::1]:53");
  EXPECT_EQ(text_of("icmp://192.0.2.1"), "icmp 192.0.2.1");
}

TEST(ExplainTarget, IsOneHostOneProtocolOnePort) {
  for (const char* text : {"", "*.github.com", "github.com:80,443", "github.com:*", "10.0.0.0/8", "*://a.example:53",
                           "dns://a.example", "tcp://*:443", "https://a.example?private", "https://a.example/x"}) {
    EXPECT_EQ(text_of(text), "error") << text;
  }
}

}  // namespace
}  // namespace namewall::agent
