#include "agent/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "policy/policy_loader.h"
#include "tests/unit/agent/event_builder.h"
#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

RunStart start_with(const std::vector<std::string>& allow) {
  RunStart start;
  start.workload = "run-1";
  start.uid = 1000;
  start.policy = load_policy_arguments(allow, {}).value;
  const auto image = compile_policy(start.policy, HostPolicy{}, ResolvConf{});
  if (image) start.image = *image;
  return start;
}

// What a report with these options says about these events.
std::string told(ReportOptions options, const std::vector<Event>& events) {
  ::testing::internal::CaptureStderr();
  auto report = Report::open(std::move(options));
  if (report) {
    report->start(start_with({"registry.npmjs.org"}));
    for (const Event& event : events) report->add(event);
    report->finish(1, {}, {});
  }
  const std::string text = ::testing::internal::GetCapturedStderr();
  return report ? text : report.error().message();
}

TEST(Report, TellsEachTargetOnceAtOnceAndTheCountAtTheEnd) {
  const std::string text = told({}, {refused_lookup("github.com"), refused_lookup("github.com", 28)});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_THAT(text, StartsWith("namewall: enforcing run-1 as uid 1000: 1 rule"));
  EXPECT_THAT(text, HasSubstr("\nnamewall: refused  github.com  lookup  npm(4188)"));
  EXPECT_THAT(text,
              HasSubstr("\nnamewall: done, exit 1. reached no name, refused 1 (x2). Keep: --save namewall.toml\n"));
}

TEST(Report, QuicBesideAnAllowedHttpsHasNoLineAndStopsNothing) {
  Event quic = refused_connect(kExample4, 443, "registry.npmjs.org");
  quic.ip_protocol = IPPROTO_UDP;
  const std::string text = told({}, {quic});
  EXPECT_THAT(text, Not(HasSubstr("namewall: refused  registry")));
  EXPECT_THAT(text, HasSubstr("quic x1"));
  auto report = Report::open({.quiet = true});
  ASSERT_TRUE(report.has_value());
  report->start(start_with({"registry.npmjs.org"}));
  report->add(quic);
  EXPECT_FALSE(report->has_refusals());
}

TEST(Report, StopsOnRefusalsOfTheCommandOnly) {
  auto report = Report::open({.quiet = true});
  ASSERT_TRUE(report.has_value());
  Event event = refused_lookup("github.com");
  event.audit = true;
  report->add(event);
  EXPECT_FALSE(report->has_refusals());
  event.audit = false;
  event.hook = Hook::kInbound;
  report->add(event);
  EXPECT_FALSE(report->has_refusals());
  report->add(refused_lookup("github.com"));
  EXPECT_TRUE(report->has_refusals());
}

TEST(Report, QuietSaysNothing) { EXPECT_EQ(told({.quiet = true}, {refused_lookup("github.com")}), ""); }

TEST(Report, JsonIsOneObjectOnOneLine) {
  const std::string text = told({.json = true}, {refused_lookup("github.com")});
  EXPECT_THAT(text, StartsWith("{\"workload\":\"run-1\",\"exit_code\":1,"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Report, WritesEveryEventRepeatsTooAndTheSummaryLast) {
  const TemporaryDirectory directory;
  told({.events_sink = directory.file("events")}, {refused_lookup("github.com"), refused_lookup("github.com")});
  const std::string lines = contents_of(directory.file("events"));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3);
  EXPECT_THAT(lines, HasSubstr("\n{\"summary\":{\"workload\":\"run-1\",\"exit_code\":1,"));
}

TEST(Report, SavesThePolicyWithItsRefusals) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("builder.toml");
  const std::string text = told({.save_path = path}, {refused_lookup("github.com")});
  EXPECT_THAT(text, HasSubstr(" Saved: " + path));
  EXPECT_THAT(text, Not(HasSubstr("Keep:")));
  EXPECT_THAT(contents_of(path), HasSubstr("#   \"https://github.com\","));
}

TEST(Report, AFailedSaveIsSaidAlsoWhenQuiet) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("builder.toml");
  ::testing::internal::CaptureStderr();
  auto report = Report::open({.quiet = true, .save_path = path});
  ASSERT_TRUE(report.has_value());
  put_into(path, "planted");
  report->finish(0, {}, {});
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), StartsWith("namewall: error: --save "));
}

TEST(Report, OpensItsFilesBeforeAnythingRuns) {
  EXPECT_THAT(told({.events_sink = "fd:2"}, {}), HasSubstr("belong to the command"));
  EXPECT_THAT(told({.save_path = "/nonexistent/builder.toml"}, {}), HasSubstr("cannot open its directory"));
}

}  // namespace
}  // namespace namewall::agent
