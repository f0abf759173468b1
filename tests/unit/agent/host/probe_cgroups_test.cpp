#include "agent/host/probe_cgroups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

constexpr BootTime kNow{std::chrono::hours(1)};
const ExistingCgroup kProbe{"/a/namewall-probe-7", 7};

WorkloadRegistry registry_with(const std::string& cgroup, bool is_armed = true) {
  WorkloadRegistry registry;
  Workload workload;
  workload.name = "job";
  workload.cgroup = cgroup;
  workload.cgroup_id = 1;
  workload.is_armed = is_armed;
  registry.add(std::move(workload));
  return registry;
}

TEST(ProbeCgroups, AProbeIsRightBelowAnArmedWorkload) {
  ProbeCgroups probes;
  EXPECT_TRUE(probes.is_probe(kProbe, registry_with("/a"), kNow));
  EXPECT_FALSE(probes.is_probe({"/a/other", 8}, registry_with("/a"), kNow));
  EXPECT_FALSE(probes.is_probe({"/a/b/namewall-probe-7", 9}, registry_with("/a"), kNow));
}

TEST(ProbeCgroups, TheNameAloneMakesNoProbe) {
  ProbeCgroups probes;
  EXPECT_FALSE(probes.is_probe(kProbe, WorkloadRegistry(), kNow));
  EXPECT_FALSE(probes.is_probe(kProbe, registry_with("/a", false), kNow));
  EXPECT_FALSE(probes.is_probe(kProbe, registry_with(kProbe.path), kNow));
  EXPECT_TRUE(probes.take_overdue(kNow + std::chrono::hours(1)).empty());
}

TEST(ProbeCgroups, AProbeThatStaysIsNoneAnyMore) {
  ProbeCgroups probes;
  const WorkloadRegistry registry = registry_with("/a");
  EXPECT_TRUE(probes.is_probe(kProbe, registry, kNow));
  EXPECT_TRUE(probes.take_overdue(kNow + ProbeCgroups::kLife / 2).empty());
  EXPECT_TRUE(probes.is_probe(kProbe, registry, kNow + ProbeCgroups::kLife / 2));
  EXPECT_FALSE(probes.is_probe(kProbe, registry, kNow + ProbeCgroups::kLife));
  EXPECT_THAT(probes.take_overdue(kNow + ProbeCgroups::kLife), testing::ElementsAre(kProbe));
  EXPECT_TRUE(probes.take_overdue(kNow + ProbeCgroups::kLife).empty());
}

TEST(ProbeCgroups, OneThatIsGoneIsForgotten) {
  ProbeCgroups probes;
  EXPECT_TRUE(probes.is_probe(kProbe, registry_with("/a"), kNow));
  probes.forget(kProbe.id);
  EXPECT_TRUE(probes.take_overdue(kNow + ProbeCgroups::kLife).empty());
}

}  // namespace
}  // namespace namewall::agent
