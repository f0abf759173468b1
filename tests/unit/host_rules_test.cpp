#include "policy/host_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/host_loader.h"
#include "policy/image_change.h"
#include "policy/image_hash.h"
#include "policy/policy_loader.h"
#include "policy/verdict.h"
#include "tests/support/dns_builder.h"

namespace namewall {
namespace {

using namewall::testing::address_of;
using namewall::testing::name_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A policy "builder" below a host; resolvers 127.0.0.53, 10.0.0.2 and 2001:db8::53.
class LimitedWorkload {
 public:
  LimitedWorkload(const std::string& host, const std::string& policy) {
    const auto of_host = load_host_policy(host, Format::kToml, "host.toml");
    const auto of_policy =
        load_policy("name = \"builder\"\n" + policy +
                        "\n[dns]\nresolvers = [\"127.0.0.53\", \"10.0.0.2\", \"[2001:db8::53]:5353\"]\nsearch = []\n",
                    Format::kToml, "builder.toml");
    EXPECT_TRUE(of_host.ok() && of_policy.ok());
    auto compiled = compile_policy(of_policy.value, of_host.value, {});
    EXPECT_TRUE(compiled) << compiled.error().what;
    image = *std::move(compiled);
  }

  std::string verdict(Protocol protocol, const std::string& address, std::uint16_t port,
                      LoopbackListener listener = LoopbackListener::kNone) const {
    GrantTable grants(16);
    const NameDecision decision = decide_name(image, name_of("api.example.com"));
    grants.learn({{name_of("api.example.com"), address_of("9.9.9.9"), BootTime{std::chrono::seconds(60)},
                   decision.allow & kAllPorts, NW_REASON_NONE}},
                 BootTime{});
    const Verdict said = judge(image, grants, {protocol, address_of(address), Port{port}}, BootTime{}, listener);
    return said.allowed ? said.walk.back().stage : std::string(code_of(said.reason));
  }
  std::string tcp(const std::string& address, std::uint16_t port,
                  LoopbackListener listener = LoopbackListener::kNone) const {
    return verdict(Protocol::kTcp, address, port, listener);
  }
  std::string udp(const std::string& address, std::uint16_t port,
                  LoopbackListener listener = LoopbackListener::kNone) const {
    return verdict(Protocol::kUdp, address, port, listener);
  }

  PolicyImage image;
};

TEST(HostBlocks, BlockedNetworksBeatRulesAndSpareResolvers) {
  const LimitedWorkload workload("block_networks = [\"private\"]\n",
                                 "allow = [\"*://10.0.0.0/8:*\", \"*://192.0.2.1:*\", \"*://1.1.1.1:*\", "
                                 "\"*://api.example.com:*?private\", \"*://[fd00::]/8:*\", \"*://224.0.0.1:*\", "
                                 "\"*://[64:ff9b::]/96:*\", \"*://[2002::]/16:*\"]");
  for (const char* blocked : {"10.0.0.1", "192.0.2.1", "fd00::1", "224.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1",
                              "::ffff:10.0.0.1", "10.0.0.2", "2001:db8::53"}) {
    EXPECT_EQ(workload.tcp(blocked, 443), "host_deny") << blocked;
    EXPECT_EQ(workload.udp(blocked, 443), "host_deny") << blocked;
  }
  for (const char* open : {"1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"}) {
    EXPECT_EQ(workload.tcp(open, 443), "address rules") << open;
  }
  EXPECT_EQ(workload.tcp("9.9.9.9", 443), "grants");
  EXPECT_EQ(workload.udp("10.0.0.2", 53), "resolver");
  EXPECT_EQ(workload.tcp("10.0.0.2", 53), "resolver");
  EXPECT_EQ(workload.udp("127.0.0.53", 53), "resolver");
  EXPECT_EQ(workload.udp("2001:db8::53", 5353), "resolver");
  EXPECT_EQ(workload.udp("2001:db8::53", 53), "host_deny");
  EXPECT_EQ(workload.udp("10.0.0.1", 53), "host_deny");
}

TEST(HostBlocks, ADenyOfTheHostCoversResolversAsBefore) {
  const LimitedWorkload workload("deny = [\"10.0.0.0/8\"]\nblock_networks = [\"private\"]\n", "allow = [\"a.example\"]");
  EXPECT_EQ(workload.udp("10.0.0.2", 53), "host_deny");
  EXPECT_EQ(workload.udp("127.0.0.53", 53), "resolver");
}

TEST(HostBlocks, PrivateNetworksCloseForeignLoopbackAndLeaveTheOwn) {
  for (const char* loopback : {"own", "any"}) {
    const LimitedWorkload workload(
        "block_networks = [\"private\"]\n",
        "allow = [\"tcp://127.0.0.1:8080\", \"tcp://[::1]:8080\"]\nloopback = \"" + std::string(loopback) + "\"");
    for (const char* address : {"127.0.0.1", "::1", "0.0.0.0", "::"}) {
      EXPECT_EQ(workload.tcp(address, 8080, LoopbackListener::kForeign), "loopback") << address;
      EXPECT_EQ(workload.tcp(address, 9000, LoopbackListener::kForeign), "loopback") << address;
      EXPECT_EQ(workload.tcp(address, 8080, LoopbackListener::kOwn), "loopback") << address;
    }
    EXPECT_EQ(workload.image.loopback, Loopback::kOwn);
    EXPECT_FALSE(
        judge(workload.image, GrantTable(1), {Protocol::kTcp, address_of("127.0.0.1"), Port{8080}}, {}).allowed);
  }
  const LimitedWorkload part("block_networks = [\"127.0.0.2/32\"]\n", "loopback = \"any\"");
  EXPECT_EQ(part.tcp("127.0.0.2", 80, LoopbackListener::kOwn), "host_deny") << "a part of loopback is as any network";
  EXPECT_EQ(part.tcp("127.0.0.1", 80, LoopbackListener::kForeign), "loopback");
  EXPECT_EQ(part.image.loopback, Loopback::kAny);
}

TEST(HostBlocks, LowPortsOfLoopbackAreDeniedOnTcpAndUdp) {
  const LimitedWorkload workload(
      "[limits]\nloopback_low_ports = \"deny\"\n",
      "allow = [\"*://127.0.0.1:*\", \"*://[::1]:*\", \"*://10.0.0.9:80\"]\nloopback = \"any\"");
  for (const char* address : {"127.0.0.1", "127.1.2.3", "::1", "::", "0.0.0.0", "::ffff:127.0.0.1"}) {
    for (const std::uint16_t port : std::array<std::uint16_t, 3>{1, 80, 1023}) {
      EXPECT_EQ(workload.tcp(address, port), "host_deny") << address << " " << port;
      EXPECT_EQ(workload.udp(address, port), "host_deny") << address << " " << port;
    }
    EXPECT_EQ(workload.tcp(address, 1024), "loopback") << address;
  }
  EXPECT_EQ(workload.tcp("10.0.0.9", 80), "address rules");
  EXPECT_EQ(workload.udp("127.0.0.53", 53), "resolver");
  EXPECT_EQ(workload.tcp("127.0.0.53", 80), "host_deny");
}

TEST(HostBlocks, UdpOffLeavesTcpAndResolvers) {
  const LimitedWorkload workload("[limits]\nudp = \"deny\"\n",
                                 "allow = [\"*://api.example.com:443\", \"udp://ntp.example.com:123\", "
                                 "\"*://192.0.2.1:*\", \"icmp://192.0.2.1\"]\nlisten = [\"udp:5000\", \"tcp:5000\"]");
  EXPECT_EQ(workload.tcp("9.9.9.9", 443), "grants");
  EXPECT_EQ(workload.udp("9.9.9.9", 443), "host_deny");
  EXPECT_EQ(workload.udp("192.0.2.1", 123), "host_deny");
  EXPECT_EQ(workload.tcp("192.0.2.1", 123), "address rules");
  EXPECT_EQ(workload.verdict(Protocol::kIcmp, "192.0.2.1", 0), "address rules");
  for (const char* resolver : {"127.0.0.53", "10.0.0.2"}) EXPECT_EQ(workload.udp(resolver, 53), "resolver");
  EXPECT_EQ(workload.udp("10.0.0.3", 53), "host_deny");
  EXPECT_EQ(workload.udp("127.0.0.1", 5000, LoopbackListener::kOwn), "host_deny");
  const auto may_ask = [&](const char* name) { return decide_name(workload.image, name_of(name)).may_ask(); };
  EXPECT_TRUE(may_ask("api.example.com"));
  EXPECT_FALSE(may_ask("ntp.example.com")) << "no port is left of it";
  EXPECT_EQ(workload.image.ports_of(workload.image.listen).to_string(), "tcp/5000");
}

TEST(HostBlocks, NothingListensWhereTheHostSaysSo) {
  const std::string policy = "listen = [\"tcp:8080\", \"udp:8080\"]\n";
  const LimitedWorkload own("[limits]\nlisten = \"deny\"\n", policy);
  EXPECT_FALSE(own.image.may_listen);
  EXPECT_EQ(own.image.listen, 0u);
  EXPECT_EQ(own.image.loopback, Loopback::kNone);
  EXPECT_EQ(own.tcp("127.0.0.1", 8080, LoopbackListener::kOwn), "loopback");
  EXPECT_FALSE(
      judge(own.image, GrantTable(1), {Protocol::kTcp, address_of("127.0.0.1"), Port{8080}}, {}, LoopbackListener::kOwn)
          .allowed);
  const LimitedWorkload any("[limits]\nlisten = \"deny\"\n", policy + "loopback = \"any\"\n");
  EXPECT_EQ(any.image.loopback, Loopback::kNone) << "bind and ingress take it for that";
  EXPECT_EQ(any.tcp("127.0.0.1", 5432, LoopbackListener::kForeign), "address rules");
  EXPECT_EQ(any.tcp("::1", 5432, LoopbackListener::kForeign), "address rules");
  EXPECT_EQ(any.image.listen, 0u);
}

TEST(HostBlocks, ExemptionsAreForPoliciesOfThatName) {
  for (const char* limit : {"listen", "loopback_low_ports", "udp"}) {
    const std::string policy = "allow = [\"udp://192.0.2.1:5\", \"tcp://127.0.0.1:5\"]\nlisten = [\"tcp:8080\"]\n";
    const auto hash_with = [&](const std::string& value) {
      return hash_of(LimitedWorkload("[limits]\n" + std::string(limit) + " = " + value + "\n", policy).image);
    };
    const auto without = hash_of(LimitedWorkload("", policy).image);
    EXPECT_EQ(hash_with("\"policy\""), without) << limit;
    EXPECT_EQ(hash_with("[\"other\", \"builder\"]"), without) << limit;
    EXPECT_NE(hash_with("\"deny\""), without) << limit;
    EXPECT_EQ(hash_with("[\"other\"]"), hash_with("\"deny\"")) << limit;
    EXPECT_EQ(hash_with("[]"), hash_with("\"deny\"")) << limit;
  }
}

TEST(HostBlocks, ALimitThatIsLiftedOpensAndOneThatComesCloses) {
  const std::string policy = "allow = [\"udp://192.0.2.1:5\"]\nlisten = [\"tcp:8080\"]\n";
  const PolicyImage open = LimitedWorkload("", policy).image;
  const PolicyImage limited = LimitedWorkload("[limits]\nlisten = \"deny\"\nudp = \"deny\"\n", policy).image;
  std::vector<std::string> closes;
  for (const AccessChange& change : changes_between(open, limited)) {
    if (change.kind == AccessChange::Kind::kCloses) closes.push_back(to_string(change));
  }
  EXPECT_THAT(closes,
              ::testing::IsSupersetOf({"closes listen tcp/8080", "closes loopback own", "closes 192.0.2.1 udp/5"}));
  EXPECT_THAT(changes_between(limited, limited), IsEmpty());
  EXPECT_FALSE(changes_between(limited, open).empty());
}

TEST(HostBlocks, AreToldForOnePolicy) {
  const auto host = load_host_policy(
      "deny = [\"192.0.2.1\"]\nblock_networks = [\"private\", \"9.0.0.0/8\"]\n[limits]\n"
      "listen = \"deny\"\nloopback_low_ports = \"policy\"\nudp = [\"tool\"]\n",
      Format::kToml, "host.toml");
  ASSERT_TRUE(host.ok());
  EXPECT_THAT(
      describe_host_limits(host.value, "builder"),
      ElementsAre("listen: denied (host.toml:4:10)", "block_networks: private (host.toml:2:19)",
                  "block_networks: 9.0.0.0/8 (host.toml:2:30)", "udp: denied but to resolvers (host.toml:6:7)"));
  EXPECT_EQ(describe_host_limits(host.value, "tool").back(), "udp: as the policy says, exempt (host.toml:6:7)");
  ASSERT_EQ(exempt_names(host.value).size(), 1u);
  EXPECT_EQ(exempt_names(host.value)[0].name, "tool");
  EXPECT_EQ(exempt_names(host.value)[0].origin.to_string(), "host.toml:6:7");
  EXPECT_EQ(host_denies_for(host.value, "builder").front().endpoint.text, "192.0.2.1");
  EXPECT_EQ(host_denies_for(host.value, "builder").size(), host_denies_for(host.value, "tool").size() + 1);
}

}  // namespace
}  // namespace namewall
