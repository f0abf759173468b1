#include "agent/doctor_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace namewall::agent {
namespace {

DoctorReport example() {
  DoctorReport report;
  report.checks = {{"host", "cgroup2", DoctorCheck::State::kHolds, "mounted at /sys/fs/cgroup/unified"},
                   {"hooks", "connect4", DoctorCheck::State::kHolds, ""},
                   {"hooks", "sock_ops", DoctorCheck::State::kOptional, "not used"}};
  report.ways_around = {{"packet_sockets", WayAround::State::kClosed,
                         "AF_PACKET needs CAP_NET_RAW, which the command does not have, and the system call filter "
                         "refuses the family as well."},
                        {"passed_sockets", WayAround::State::kOpen, "x"}};
  return report;
}

TEST(DoctorReport, IsReadyUnlessSomethingNeededIsMissing) {
  DoctorReport report = example();
  EXPECT_TRUE(report.is_ready());
  report.checks[1].state = DoctorCheck::State::kMissing;
  EXPECT_FALSE(report.is_ready());
}

TEST(DoctorReport, TheTableKeepsTo80Columns) {
  std::istringstream lines(to_table(example()));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 80u) << line;
    EXPECT_TRUE(line.empty() || line.back() != ' ') << "[" << line << "]";
  }
}

TEST(DoctorReport, TheTableHasSectionsAndLinesUpSentences) {
  EXPECT_EQ(to_table(example()),
            "host\n"
            "  holds    cgroup2                 mounted at /sys/fs/cgroup/unified\n"
            "hooks\n"
            "  holds    connect4\n"
            "  optional sock_ops                not used\n"
            "ways around\n"
            "  closed   packet_sockets          AF_PACKET needs CAP_NET_RAW, which the\n"
            "                                   command does not have, and the system call\n"
            "                                   filter refuses the family as well.\n"
            "  OPEN     passed_sockets          x\n"
            "programs of others on the path\n"
            "  none\n"
            "ready: `namewall run` has all that it needs\n");
}

TEST(DoctorReport, TheLastLineNamesWhatIsMissing) {
  DoctorReport report = example();
  report.checks[0].state = report.checks[1].state = DoctorCheck::State::kMissing;
  EXPECT_NE(to_table(report).find("\nNOT READY: `namewall run` needs what is missing here: cgroup2, connect4\n"),
            std::string::npos);
}

TEST(DoctorReport, NamesOfForeignProgramsAreEscaped) {
  DoctorReport report;
  report.foreign_programs = {{"connect4", 7, "a\x1b[2J", false}, {"egress", 8, "namewall_egress", true}};
  const std::string table = to_table(report);
  EXPECT_EQ(table.find('\x1b'), std::string::npos);
  EXPECT_NE(table.find("foreign  connect4                a\\x1b[2J, program 7\n"), std::string::npos) << table;
  EXPECT_NE(table.find("namewall egress"), std::string::npos);
}

TEST(DoctorReport, JsonIsStable) {
  DoctorReport report = example();
  report.checks[1].state = DoctorCheck::State::kMissing;
  report.foreign_programs = {{"connect4", 7, "", false}};
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json["ready"], false);
  EXPECT_EQ(json["checks"][1]["state"], "missing");
  EXPECT_EQ(json["checks"][0]["group"], "host");
  EXPECT_EQ(json["ways_around"][0]["state"], "closed");
  EXPECT_EQ(json["ways_around"][1]["state"], "open");
  EXPECT_TRUE(json["programs_on_path"][0]["name"].is_null());
  EXPECT_EQ(json["programs_on_path"][0]["ours"], false);
}

}  // namespace
}  // namespace namewall::agent
