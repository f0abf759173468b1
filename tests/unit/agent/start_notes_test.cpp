#include "agent/start_notes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

StartFacts running(const std::string& program, const std::string& kept = "") {
  StartFacts facts;
  facts.program = program;
  if (!kept.empty()) {
    EXPECT_TRUE(facts.keep.add_words(kept));
  }
  return facts;
}

TEST(StartNotes, NothingIsSaidOfAnOrdinaryCommand) {
  for (const std::string program : {"npm", "/usr/bin/curl", "sudoku", "/opt/su/bin/sum", "./su.sh"}) {
    EXPECT_THAT(build_start_notes(running(program)), IsEmpty()) << program;
  }
}

TEST(StartNotes, AProgramForOtherRightsIsToldOfTheSwitch) {
  for (const std::string program : {"sudo", "/usr/bin/sudo", "su", "./su", "doas", "pkexec"}) {
    EXPECT_THAT(build_start_notes(running(program)), ElementsAre(AllOf(StartsWith(program), HasSubstr("--keep privs"))))
        << program;
  }
}

TEST(StartNotes, WithHalfOfWhatItNeedsItIsStillTold) {
  EXPECT_THAT(build_start_notes(running("sudo", "privs")), ElementsAre(HasSubstr("--keep privs,caps")));
  EXPECT_THAT(build_start_notes(running("sudo", "privs,caps")), IsEmpty());
}

TEST(StartNotes, RootHasNothingToGain) {
  StartFacts facts = running("su");
  facts.as_root = true;
  EXPECT_THAT(build_start_notes(facts), ElementsAre(HasSubstr("--user U")));
}

TEST(StartNotes, EachDifferenceIsALine) {
  StartFacts facts = running("npm");
  facts.as_root = true;
  facts.answers_refusals = false;
  facts.proxy_variable = "HTTPS_PROXY";
  facts.closed_descriptors = 3;
  EXPECT_THAT(build_start_notes(facts), ElementsAre(HasSubstr("--user U"), HasSubstr("raw sockets"),
                                                    StartsWith("HTTPS_PROXY is set"), StartsWith("3 inherited")));
}

}  // namespace
}  // namespace namewall::agent
