#include "agent/client/unit_drop_in.h"

#include <gmock/gmock.h>

namespace namewall::agent {
namespace {

using testing::HasSubstr;

TEST(ServiceName, AddsItsTypeAndEscapesWhatNoUnitNameHas) {
  EXPECT_EQ(service_name("builder").value(), "builder.service");
  EXPECT_EQ(service_name("worker@7.service").value(), "worker@7.service");
  EXPECT_EQ(service_name("worker@").value(), "worker@.service");
  EXPECT_EQ(service_name("a b").value(), "a\\x20b.service");
  EXPECT_EQ(service_name("a\\x2db.service").value(), "a\\x2db.service");
}

TEST(ServiceName, RefusesPathsOtherTypesAndWhatIsNoName) {
  for (const char* name : {"../x", "/etc/x.service", "x.socket", "x.slice", "", ".service", "@.service"}) {
    const auto refused = service_name(name);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  }
  EXPECT_FALSE(service_name(std::string(256, 'a')));
}

TEST(QuoteForUnitFile, KeepsSpecifiersVariablesAndQuotesFromSystemd) {
  EXPECT_EQ(quote_for_unit_file("/etc/a b"), "\"/etc/a b\"");
  EXPECT_EQ(quote_for_unit_file("50%$x\"\\"), "\"50%%$$x\\\"\\\\\"");
  EXPECT_EQ(quote_for_unit_file("a\nExecStart=/bin/sh"), "\"a\\nExecStart=/bin/sh\"");
}

TEST(DropIn, ArmsTheServiceBeforeItsFirstProcessAndTellsItsPolicy) {
  const std::string text = drop_in_text("/usr/bin/namewall", "/etc/namewall/a.toml", true);
  EXPECT_THAT(text, HasSubstr("[Service]\n"));
  EXPECT_THAT(
      text,
      HasSubstr("\nExecStartPre=+/usr/bin/namewall arm --self --policy \"/etc/namewall/a.toml\" --allow-partial\n"));
  EXPECT_EQ(policy_of_drop_in(text), "/etc/namewall/a.toml");
  EXPECT_EQ(policy_of_drop_in("[Service]\n"), "");
}

TEST(DropIn, APolicysNameStartsNoLineOfItsOwn) {
  const std::string text = drop_in_text("/usr/bin/namewall", "/etc/a\n[Install]\n", false);
  EXPECT_EQ(text.find("\n[Install]"), std::string::npos);
}

}  // namespace
}  // namespace namewall::agent
