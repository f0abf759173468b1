// What counts as drift, and what only changed while it was read.
#include "agent/client/set_join.h"

#include <gmock/gmock.h>

namespace namewall::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

constexpr BootTime kNow{seconds(1000)};

KernelElement element(const char* address, std::uint16_t port = 443, Nanoseconds left = seconds(60),
                      Nanoseconds age = seconds(30)) {
  KernelElement held;
  held.cgroup_id = 7;
  held.set = "learned4";
  held.address = *parse_address(address);
  held.ports = {Protocol::kTcp, Port{port}, Port{port}};
  held.left = left;
  held.age = age;
  held.comment = "of-the-kernel.example by *.example:443";
  return held;
}

KernelSets kernel_with(std::vector<KernelElement> elements) {
  KernelSets kernel;
  kernel.workloads = {{7, "/ci/job", "nft", false}};
  kernel.elements = std::move(elements);
  kernel.begun = kNow;
  kernel.ended = kNow + milliseconds(50);
  return kernel;
}

SetsGrant grant(const char* name, const char* address, std::uint32_t ports = 0) {
  return {name, *parse_address(address), ports, 0, 60'000, 30'000, 20'000, -1};
}

ModelSets model_with(const std::vector<SetsGrant>& grants) {
  ModelSets model;
  model.workloads = {{"builder:job",
                      "/ci/job",
                      7,
                      "nft",
                      "enforce",
                      kNow.since_boot.count(),
                      {"https://*.example"},
                      {{"tcp/443"}, {"tcp/80", "tcp/443"}, {"wide tcp/1000-2000"}},
                      false}};
  for (const SetsGrant& one : grants) model.grants.push_back({0, one});
  return model;
}

std::vector<Drift> drifts(const SetsView& view) {
  std::vector<Drift> found;
  for (const SetRow& row : view.rows) found.push_back(row.drift);
  return found;
}

TEST(SetJoin, NamesComeFromTheModelWithAllThatShareTheAddress) {
  const auto kernel = kernel_with({element("192.0.2.1")});
  const auto model = model_with({grant("a.example", "192.0.2.1"), grant("b.example", "192.0.2.1")});
  const SetsView view = join(kernel, &model);
  ASSERT_EQ(view.rows.size(), 1u);
  ASSERT_EQ(view.rows[0].names.size(), 2u);
  EXPECT_EQ(view.rows[0].names[0].name, "a.example");
  EXPECT_EQ(view.rows[0].names[1].name, "b.example");
  EXPECT_EQ(view.rows[0].names[1].rule, "https://*.example");
  EXPECT_EQ(view.rows[0].names[1].learned_ms_ago, 30'000);
  EXPECT_EQ(view.rows[0].left, seconds(60));
  EXPECT_EQ(view.rows[0].drift, Drift::kNone);
  EXPECT_EQ(view.workloads[0].label(), "builder:job");
}

TEST(SetJoin, WithoutAModelTheKernelSpeaksForItself) {
  const auto kernel = kernel_with({element("192.0.2.1")});
  const SetsView view = join(kernel, nullptr);
  ASSERT_EQ(view.rows.size(), 1u);
  ASSERT_EQ(view.rows[0].names.size(), 1u);
  EXPECT_EQ(view.rows[0].names[0].name, "of-the-kernel.example");
  EXPECT_EQ(view.rows[0].names[0].rule, "*.example:443");
  EXPECT_EQ(view.rows[0].drift, Drift::kNone);
  EXPECT_EQ(view.workloads[0].label(), "/ci/job");
}

TEST(SetJoin, AnElementThatTheModelDoesNotKnowIsDrift) {
  const auto kernel = kernel_with({element("192.0.2.1"), element("192.0.2.9")});
  const auto model = model_with({grant("a.example", "192.0.2.1")});
  EXPECT_THAT(drifts(join(kernel, &model)), ElementsAre(Drift::kNone, Drift::kUnknown));
}

TEST(SetJoin, AnElementOfAWorkloadThatTheModelDoesNotKnowIsDrift) {
  auto foreign = element("192.0.2.9", 443, kForever, kForever);
  foreign.cgroup_id = 8;
  const auto kernel = kernel_with({foreign});
  const auto model = model_with({});
  EXPECT_THAT(drifts(join(kernel, &model)), ElementsAre(Drift::kUnknown));
}

TEST(SetJoin, AMissingElementIsDrift) {
  const auto kernel = kernel_with({});
  const auto model = model_with({grant("a.example", "192.0.2.1")});
  const SetsView view = join(kernel, &model);
  EXPECT_THAT(drifts(view), ElementsAre(Drift::kMissing));
  EXPECT_EQ(view.rows[0].address.to_string(), "192.0.2.1");
  EXPECT_EQ(view.rows[0].ports.first, Port{443});
}

TEST(SetJoin, OneElementOfAGrantOfTwoPortsMayBeMissing) {
  const auto kernel = kernel_with({element("192.0.2.1", 443)});
  const auto model = model_with({grant("a.example", "192.0.2.1", 1)});
  EXPECT_THAT(drifts(join(kernel, &model)), ElementsAre(Drift::kMissing, Drift::kNone));
}

TEST(SetJoin, WhatWasLearnedAfterTheOtherSideWasReadIsNoDrift) {
  // In the kernel for 10 ms; the model was read 5 s ago.
  const auto young = kernel_with({element("192.0.2.1", 443, seconds(60), milliseconds(10))});
  auto old_model = model_with({});
  old_model.workloads[0].as_of_ns -= Nanoseconds(seconds(5)).count();
  EXPECT_THAT(drifts(join(young, &old_model)), ElementsAre(Drift::kNone));
  // Learned 1 ms before the model was read, which was 5 s after the kernel was.
  auto late_model = model_with({grant("a.example", "192.0.2.1")});
  late_model.workloads[0].as_of_ns += Nanoseconds(seconds(5)).count();
  late_model.grants[0].grant.learned_ms_ago = 1;
  EXPECT_THAT(drifts(join(kernel_with({}), &late_model)), ElementsAre(Drift::kNone));
}

TEST(SetJoin, WhatIsAboutToEndIsNoDrift) {
  auto ending = model_with({grant("a.example", "192.0.2.1")});
  ending.grants[0].grant.left_ms = 20;
  EXPECT_EQ(join(kernel_with({}), &ending).rows.size(), 0u);
  const auto over = kernel_with({element("192.0.2.1", 443, milliseconds(20))});
  const auto model = model_with({});
  EXPECT_THAT(drifts(join(over, &model)), ElementsAre(Drift::kNone));
}

TEST(SetJoin, WideSetsAreComparedByTheirPorts) {
  auto wide = element("192.0.2.1");
  wide.set = "wide1_4";
  wide.ports = {Protocol::kTcp, Port{}, Port{65535}};
  wide.port_list = "1000-2000";
  const auto model = model_with({grant("a.example", "192.0.2.1", 2)});
  EXPECT_THAT(drifts(join(kernel_with({wide}), &model)), ElementsAre(Drift::kNone));
  wide.port_list = "1000-3000";
  EXPECT_THAT(drifts(join(kernel_with({wide}), &model)),
              testing::UnorderedElementsAre(Drift::kUnknown, Drift::kMissing));
}

TEST(SetJoin, OneThatIsListedTwiceIsShownOnce) {
  const auto kernel = kernel_with({element("192.0.2.1"), element("192.0.2.1")});
  const auto model = model_with({grant("a.example", "192.0.2.1")});
  EXPECT_THAT(drifts(join(kernel, &model)), ElementsAre(Drift::kNone));
}

TEST(SetJoin, PinnedMapsKeepTheirHitsAndGetRulesFromTheModel) {
  auto held = element("192.0.2.1");
  held.set = "grants";
  held.comment.clear();
  held.names = {{"a.example", "", seconds(60), 38}};
  auto kernel = kernel_with({held});
  kernel.workloads[0].backend = "bpf";
  auto model = model_with({grant("a.example", "192.0.2.1"), grant("gone.example", "192.0.2.2")});
  model.workloads[0].backend = "bpf";
  const SetsView view = join(kernel, &model);
  ASSERT_EQ(view.rows.size(), 1u);
  EXPECT_EQ(view.rows[0].names[0].hits, 38);
  EXPECT_EQ(view.rows[0].names[0].rule, "https://*.example");
  EXPECT_EQ(view.rows[0].drift, Drift::kNone);
}

TEST(SetJoin, OneWorkloadIsChosenByNameCgroupOrId) {
  const auto kernel = kernel_with({element("192.0.2.1")});
  const auto model = model_with({grant("a.example", "192.0.2.1")});
  for (const char* name : {"builder:job", "/ci/job", "7"})
    EXPECT_EQ(join(kernel, &model, name).rows.size(), 1u) << name;
  EXPECT_TRUE(join(kernel, &model, "other").workloads.empty());
}

TEST(SetJoin, ASecondLookTakesBackWhatOnlyChanged) {
  const auto kernel = kernel_with({element("192.0.2.1"), element("192.0.2.2"), element("192.0.2.3")});
  const auto model = model_with({grant("a.example", "192.0.2.4"), grant("a.example", "192.0.2.5")});
  SetsView view = join(kernel, &model);
  ASSERT_EQ(view.count(Drift::kUnknown), 3u);
  ASSERT_EQ(view.count(Drift::kMissing), 2u);
  EXPECT_THAT(doubtful_workloads(view), ElementsAre(0u));
  // .1 is in the model by now; .2 went from the kernel; .3 stays unknown; .4 is there by now; .5 stays missing.
  const auto again =
      model_with({grant("a.example", "192.0.2.1"), grant("a.example", "192.0.2.4"), grant("a.example", "192.0.2.5")});
  settle(
      view,
      [](const SetRow& row) {
        const std::string address = row.address.to_string();
        return address != "192.0.2.2" && address != "192.0.2.5";
      },
      again);
  EXPECT_THAT(drifts(view), ElementsAre(Drift::kNone, Drift::kUnknown, Drift::kNone, Drift::kMissing));
}

TEST(HeldPorts, AreReadAsTheDaemonWritesThem) {
  EXPECT_EQ(parse_held_ports("tcp/443")->ports, (PortRange{Protocol::kTcp, Port{443}, Port{443}}));
  EXPECT_EQ(parse_held_ports("icmp")->ports.protocol, Protocol::kIcmp);
  EXPECT_EQ(parse_held_ports("wide udp/*")->port_list, "*");
  for (const char* text : {"", "tcp/", "tcp/x", "sctp/1", "tcp/443,80", "wide tcp/"})
    EXPECT_FALSE(parse_held_ports(text)) << text;
}

}  // namespace
}  // namespace namewall::agent
