#include "agent/host/saved_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

using testing::HasSubstr;

SavedState make_state() {
  SavedState state;
  state.boot_id = "boot-1";
  state.generation = 17;
  SavedWorkload file;
  file.name = "builder";
  file.cgroup = "/ci.slice/job-1";
  file.cgroup_id = 0xffff'ffff'ffff'fffe;
  file.origin = "file";
  file.policy = "builder";
  file.armed_at = "2026-01-02T03:04:05.000Z";
  SavedWorkload call = file;
  call.name = "sandbox \"7\"\n";
  call.origin = "api";
  call.policy_text = "allow = [ \"example.com\" ]\n";
  call.labels = {{"tenant", "a\\b"}};
  call.ttl_end_unix_ms = 1'800'000'000'123;
  call.allow_partial = true;
  call.policy_generation = 12;
  SavedWorkload twin = call;
  twin.name = "sandbox-8";
  state.workloads = {file, call, twin};
  state.folder.host_text = "deny = [ \"evil.example\" ]\n";
  state.folder.files = {{"builder.toml", "name = \"builder\"\n"}};
  state.folder.lifted = {{"/ci.slice/job-2", "builder", "abc"}};
  return state;
}

TEST(SavedState, ComesBackAsItWas) {
  const auto back = saved_state_from_json(saved_state_to_json(make_state()));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, make_state());
}

TEST(SavedState, HoldsEqualPolicyTextsOnce) {
  const auto text = saved_state_to_json(make_state());
  EXPECT_EQ(text.find("example.com"), text.rfind("example.com"));
}

TEST(SavedState, TakesTheChangesThatFollow) {
  auto expected = make_state();
  auto text = saved_state_to_json(expected);
  expected.workloads[1].labels["tenant"] = "b";
  text += saved_put_to_json(expected.workloads[1], 18);
  auto late = expected.workloads[2];
  late.name = "late";
  text += saved_put_to_json(late, 19) + saved_erase_to_json("builder", 20) + saved_erase_to_json("never there", 21);
  const auto back = saved_state_from_json(text);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->generation, 21u);
  EXPECT_THAT(back->workloads, testing::UnorderedElementsAre(expected.workloads[1], expected.workloads[2], late));
}

TEST(SavedState, TakesTheNewestFolder) {
  auto expected = make_state();
  auto text = saved_state_to_json(expected);
  expected.folder.host_text.reset();
  expected.folder.files.push_back({"late.toml", "name = \"late\"\n"});
  expected.folder.lifted.clear();
  expected.generation = 18;
  text += saved_folder_to_json(expected.folder, 18);
  const auto back = saved_state_from_json(text);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, expected);
}

TEST(SavedState, ReplacesAWorkloadThatMovedWhenAnotherWasErased) {
  const auto state = make_state();
  auto moved = state.workloads[2];
  moved.policy = "another";
  const auto back = saved_state_from_json(saved_state_to_json(state) + saved_erase_to_json("builder", 18) +
                                          saved_put_to_json(moved, 19));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_THAT(back->workloads, testing::UnorderedElementsAre(state.workloads[1], moved));
}

TEST(SavedState, TruncatedAnywhereIsDamagedOrWholeUpToSomeChange) {
  const auto first = saved_state_to_json(make_state());
  const auto text = first + saved_erase_to_json("builder", 18);
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const auto back = saved_state_from_json(std::string_view(text).substr(0, length));
    if (length < first.size()) {
      ASSERT_FALSE(back) << length;
      EXPECT_EQ(back.error().kind, ErrorKind::kInvalid) << length;
    } else {
      ASSERT_TRUE(back) << length;
      EXPECT_EQ(back->workloads.size(), length < text.size() ? 3u : 2u) << length;
    }
  }
}

TEST(SavedState, WithADamagedChangeNamesItsLine) {
  const auto back = saved_state_from_json(saved_state_to_json(make_state()) + "{\"generation\":18,\"put\":{}}\n");
  ASSERT_FALSE(back);
  EXPECT_THAT(back.error().what, HasSubstr("damaged in line 2"));
}

TEST(SavedState, WithAByteChangedNeverCrashes) {
  const auto text = saved_state_to_json(make_state());
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char byte : {'\0', '"', '9', '{', ']', '\xff'}) {
      auto changed = text;
      changed[at] = byte;
      const auto back = saved_state_from_json(changed);
      EXPECT_TRUE(!back || back->workloads.size() <= 3u);
    }
  }
}

TEST(SavedState, OfAnotherVersionIsAConflictThatNamesBoth) {
  const auto back = saved_state_from_json("{\"version\":9,\"workloads\":\"of another shape\"}\n");
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(back.error().what, "the saved state has version 9, and this namewalld knows version 1");
}

TEST(SavedState, WithAWrongTypeOrReferenceIsDamaged) {
  const auto text = saved_state_to_json(make_state());
  const auto with = [&text](const std::string& from, const std::string& to) {
    auto changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return saved_state_from_json(changed);
  };
  for (const auto& [from, to] :
       {std::pair{"\"cgroup_id\":18446744073709551614", "\"cgroup_id\":\"x\""},
        std::pair{"\"policy_text\":0", "\"policy_text\":5"}, std::pair{"\"name\":", "\"nome\":"}}) {
    const auto back = with(from, to);
    ASSERT_FALSE(back) << to;
    EXPECT_EQ(back.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(back.error().what, HasSubstr("damaged"));
  }
}

TEST(SavedState, LargerThanItsBoundIsNotRead) {
  const auto back = saved_state_from_json(std::string(kMaxSavedState + 1, ' '));
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().kind, ErrorKind::kLimit);
}

TEST(SavedState, DeeplyNestedIsDamagedAndNothingWorse) {
  EXPECT_FALSE(saved_state_from_json(std::string(1'000'000, '[') + "\n"));
}

TEST(SavedState, WithPathsThatAreNotUtf8KeepsTheirIds) {
  auto state = make_state();
  state.workloads[0].cgroup = "/ci.slice/\xff";
  const auto back = saved_state_from_json(saved_state_to_json(state));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->workloads[0].cgroup_id, state.workloads[0].cgroup_id);
}

TEST(KeepStateOfThisBoot, KeepsWorkloadsOfThisBoot) {
  auto state = make_state();
  EXPECT_FALSE(keep_state_of_this_boot(state, "boot-1"));
  EXPECT_EQ(state.workloads.size(), 3u);
}

TEST(KeepStateOfThisBoot, DropsWorkloadsOfAnotherAndSaysSo) {
  auto state = make_state();
  EXPECT_EQ(keep_state_of_this_boot(state, "boot-2"),
            "the host has started anew: 3 workloads of the boot before are forgotten");
  EXPECT_TRUE(state.workloads.empty());
  EXPECT_EQ(state.boot_id, "boot-2");
  EXPECT_EQ(state.generation, 17u);
}

}  // namespace
}  // namespace namewall::agent
