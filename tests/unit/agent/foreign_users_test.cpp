#include "agent/host/foreign_users.h"

#include <gmock/gmock.h>
#include <linux/capability.h>

namespace namewall::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

WorkloadFacts one(const ProcessFacts& process) { return {{process}, {}}; }

std::vector<std::string> codes_of(const WorkloadFacts& facts) {
  std::vector<std::string> codes;
  for (const ForeignUser& user : find_foreign_users(facts)) codes.emplace_back(code_of(user));
  return codes;
}

ProcessFacts process_with(const std::function<void(ProcessFacts&)>& change) {
  ProcessFacts process;
  process.pid = 41;
  process.executable = "node";
  change(process);
  return process;
}

TEST(ForeignUsers, AnOrdinaryProcessIsNone) {
  EXPECT_THAT(codes_of(one(process_with([](ProcessFacts& p) { p.capabilities = 1u << CAP_CHOWN; }))), ElementsAre());
}

TEST(ForeignUsers, EachFactHasItsCode) {
  const auto codes = [](const std::function<void(ProcessFacts&)>& change) {
    return codes_of(one(process_with(change)));
  };
  EXPECT_THAT(codes([](ProcessFacts& p) { p.engine_sockets = {"/run/docker.sock"}; }), ElementsAre("container-engine"));
  EXPECT_THAT(codes([](ProcessFacts& p) { p.packet_sockets = 1; }), ElementsAre("packet-socket"));
  EXPECT_THAT(codes([](ProcessFacts& p) { p.vsock_sockets = 1; }), ElementsAre("vsock"));
  EXPECT_THAT(codes([](ProcessFacts& p) { p.devices = {"/dev/net/tun"}; }), ElementsAre("tunnel-device"));
  EXPECT_THAT(codes([](ProcessFacts& p) { p.devices = {"/dev/kvm"}; }), ElementsAre("virtual-machine"));
  EXPECT_THAT(codes([](ProcessFacts& p) { p.foreign_sockets = 2; }), ElementsAre("foreign-socket"));
  EXPECT_THAT(codes([](ProcessFacts& p) { p.may_leave = true; }), ElementsAre("delegated-cgroup"));
  EXPECT_THAT(codes([](ProcessFacts& p) { p.executable = "runsc-sandbox"; }), ElementsAre("user-netstack"));
  for (const char* machine : {"qemu-system-x86_64", "firecracker", "cloud-hypervisor", "containerd-shim-kata-v2"}) {
    EXPECT_THAT(codes([&](ProcessFacts& p) { p.executable = machine; }), ElementsAre("virtual-machine")) << machine;
  }
}

TEST(ForeignUsers, EveryCapabilityThatUndoesTheConfinementIsNamed) {
  for (const auto& [number, name] :
       {std::pair{CAP_NET_ADMIN, "CAP_NET_ADMIN"}, std::pair{CAP_NET_RAW, "CAP_NET_RAW"}, std::pair{CAP_BPF, "CAP_BPF"},
        std::pair{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, std::pair{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
        std::pair{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"}, std::pair{CAP_SYS_MODULE, "CAP_SYS_MODULE"}}) {
    const auto users = find_foreign_users(
        one(process_with([bit = number](ProcessFacts& p) { p.capabilities = std::uint64_t{1} << bit; })));
    ASSERT_EQ(users.size(), 1u) << name;
    EXPECT_EQ(users[0].detail, name);
    EXPECT_TRUE(makes_partial(users[0]));
  }
}

TEST(ForeignUsers, ProcessesWithTheSameFactAreOneFinding) {
  WorkloadFacts facts;
  for (std::uint32_t pid = 10; pid < 13; ++pid) {
    facts.processes.push_back(process_with([&](ProcessFacts& p) { p.pid = pid, p.packet_sockets = 1; }));
  }
  const auto users = find_foreign_users(facts);
  ASSERT_EQ(users.size(), 1u);
  EXPECT_EQ(users[0].processes, 3u);
  EXPECT_THAT(sentence_of(users[0]), HasSubstr("process 10 and 2 others"));
}

TEST(ForeignUsers, WhatWasNotLookedAtIsSaidButMakesNothingPartial) {
  const auto users = find_foreign_users({{}, {"12 of 4000 processes (time is over)"}});
  ASSERT_EQ(users.size(), 1u);
  EXPECT_FALSE(makes_partial(users[0]));
  EXPECT_EQ(sentence_of(users[0]), "not looked at: 12 of 4000 processes (time is over)");
}

TEST(ForeignUsers, AreBoundedAndSayThatThereAreMore) {
  WorkloadFacts facts;
  for (std::uint32_t pid = 1; pid <= 100; ++pid) {
    facts.processes.push_back(
        process_with([&](ProcessFacts& p) { p.pid = pid, p.executable = "qemu-" + std::to_string(pid); }));
  }
  const auto users = find_foreign_users(facts);
  EXPECT_EQ(users.size(), kMaxForeignUsers);
  EXPECT_EQ(users.back().detail, "there are more findings than are listed");
}

TEST(ForeignUsers, TheirSentencesEscapeWhatTheWorkloadChose) {
  const auto users = find_foreign_users(one(process_with([](ProcessFacts& p) { p.executable = "qemu-\x1b[2J"; })));
  ASSERT_EQ(users.size(), 1u);
  EXPECT_THAT(sentence_of(users[0]), HasSubstr("qemu-\\x1b[2J"));
}

}  // namespace
}  // namespace namewall::agent
