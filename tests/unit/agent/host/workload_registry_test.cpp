#include "agent/host/workload_registry.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

Workload workload(const std::string& name, const std::string& cgroup, std::uint64_t id) {
  Workload made;
  made.name = name;
  made.cgroup = cgroup;
  made.cgroup_id = id;
  made.is_armed = true;
  return made;
}

TEST(WorkloadRegistry, FindsByNameAndByCgroupId) {
  WorkloadRegistry registry;
  ASSERT_TRUE(registry.add(workload("builder", "/ci.slice/build", 7)));
  ASSERT_NE(registry.find("builder"), nullptr);
  EXPECT_EQ(registry.find("builder"), registry.find_by_id(7));
  EXPECT_EQ(registry.find("other"), nullptr);
  EXPECT_EQ(registry.find_by_id(8), nullptr);
}

TEST(WorkloadRegistry, ANameBelongsToOneCgroup) {
  WorkloadRegistry registry;
  ASSERT_TRUE(registry.add(workload("builder", "/a", 1)));
  EXPECT_FALSE(registry.add(workload("builder", "/b", 2)));
  EXPECT_EQ(registry.find("builder")->cgroup, "/a");
  EXPECT_EQ(registry.size(), 1u);
}

TEST(WorkloadRegistry, FindsWhatIsExactlyAtAPath) {
  WorkloadRegistry registry;
  Workload parent = workload("ci", "/ci.slice", 1);
  parent.held_by = HeldBy::kTemplate;
  ASSERT_TRUE(registry.add(std::move(parent)));
  EXPECT_EQ(registry.find_at("/ci.slice")->name, "ci");
  EXPECT_EQ(registry.find_at("/ci.slice/job"), nullptr);
}

TEST(WorkloadRegistry, AddingACgroupAgainForgetsItsOldName) {
  WorkloadRegistry registry;
  ASSERT_TRUE(registry.add(workload("warm-3", "/pool/3", 3)));
  ASSERT_TRUE(registry.add(workload("job-17", "/pool/3", 3)));
  EXPECT_EQ(registry.find("warm-3"), nullptr);
  EXPECT_EQ(registry.find("job-17")->cgroup_id, 3u);
}

TEST(WorkloadRegistry, ErasingAnOldCgroupLeavesTheNewOneAtItsPath) {
  WorkloadRegistry registry;
  ASSERT_TRUE(registry.add(workload("old", "/ci.slice/build", 1)));
  ASSERT_TRUE(registry.add(workload("new", "/ci.slice/build", 2)));
  registry.erase(1);
  ASSERT_NE(registry.find_holding("/ci.slice/build"), nullptr);
  EXPECT_EQ(registry.find_holding("/ci.slice/build")->name, "new");
}

TEST(WorkloadRegistry, TheInnermostWorkloadHoldsAPath) {
  WorkloadRegistry registry;
  ASSERT_TRUE(registry.add(workload("outer", "/a", 1)));
  ASSERT_TRUE(registry.add(workload("inner", "/a/b", 2)));
  EXPECT_EQ(registry.find_holding("/a/b/c")->name, "inner");
  EXPECT_EQ(registry.find_holding("/a/bc")->name, "outer");
  EXPECT_EQ(registry.find_holding("/ab"), nullptr);
}

TEST(WorkloadRegistry, WhatCouldNotBeArmedHoldsNothing) {
  WorkloadRegistry registry;
  Workload failed = workload("inner", "/a/b", 2);
  failed.is_armed = false;
  ASSERT_TRUE(registry.add(std::move(failed)));
  EXPECT_EQ(registry.find_holding("/a/b"), nullptr);
  ASSERT_TRUE(registry.add(workload("outer", "/a", 1)));
  EXPECT_EQ(registry.find_holding("/a/b")->name, "outer");
}

TEST(WorkloadRegistry, ATemplateHoldsItsChildrenAndNotItself) {
  WorkloadRegistry registry;
  Workload made = workload("jobs", "/ci.slice", 1);
  made.held_by = HeldBy::kTemplate;
  ASSERT_TRUE(registry.add(std::move(made)));
  EXPECT_EQ(registry.find_holding("/ci.slice"), nullptr);
  EXPECT_EQ(registry.find_holding("/ci.slice/job")->name, "jobs");
}

TEST(WorkloadRegistry, TheRootHoldsEverything) {
  WorkloadRegistry registry;
  ASSERT_TRUE(registry.add(workload("host", "/", 1)));
  EXPECT_EQ(registry.find_holding("/x/y")->name, "host");
}

}  // namespace
}  // namespace namewall::agent
