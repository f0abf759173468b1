#include "policy/host_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> messages_of(const std::vector<Diagnostic>& diagnostics) {
  std::vector<std::string> out;
  for (const Diagnostic& diagnostic : diagnostics) out.push_back(diagnostic.to_string());
  return out;
}

std::vector<std::string> messages_of_toml(std::string_view text) {
  return messages_of(load_host_file(text, Format::kToml, "host.toml").diagnostics);
}

std::vector<std::string> texts_of(const std::vector<Rule>& rules) {
  std::vector<std::string> out;
  for (const Rule& rule : rules) out.push_back(to_canonical_string(rule.endpoint) + " " + rule.origin.to_string());
  return out;
}

TEST(HostLoader, ReadsDeniesAndPrivateNames) {
  const Loaded<HostPolicy> loaded = load_host_policy(
      "deny = [ \"169.254.169.254\" ]\nprivate_names = [ \"**.corp.example\" ]\n", Format::kToml, "host.toml");
  ASSERT_THAT(messages_of(loaded.diagnostics), IsEmpty());
  EXPECT_THAT(texts_of(loaded.value.deny), ElementsAre("169.254.169.254 host.toml:1:10"));
  ASSERT_EQ(loaded.value.private_names.size(), 1u);
  EXPECT_EQ(std::get<NamePattern>(loaded.value.private_names[0].endpoint.host).text(), "**.corp.example");
  EXPECT_EQ(loaded.value.private_names[0].origin.to_string(), "host.toml:2:19");
}

TEST(HostLoader, SaysWhatEnforcesPoliciesThatDoNotSay) {
  const auto backend_of = [](std::string_view text) {
    return load_host_policy(text, Format::kToml, "host.toml").value.backend;
  };
  EXPECT_EQ(backend_of(""), Backend::kBpf);
  EXPECT_EQ(backend_of("backend = \"bpf\""), Backend::kBpf);
  EXPECT_EQ(backend_of("backend = \"nft\""), Backend::kNft);
  EXPECT_THAT(messages_of_toml("backend = \"nftables\""),
              ElementsAre(AllOf(HasSubstr("host.toml:1:11: error: "), HasSubstr("bpf"), HasSubstr("nft"))));
}

TEST(HostLoader, ReadsHowMuchProcessesMayRestrictThemselves) {
  const Loaded<HostFile> loaded = load_host_file(
      "[restrict]\nenabled = false\nper_user = 1\nper_workload = 2\ntotal = 3\ndepth = 12\nper_second = 1000\n",
      Format::kToml, "host.toml");
  ASSERT_THAT(messages_of(loaded.diagnostics), IsEmpty());
  EXPECT_EQ(loaded.value.settings.restrict, (RestrictSettings{false, 1, 2, 3, 12, 1000}));
  EXPECT_TRUE(HostSettings().restrict.enabled);
  for (const std::string wrong : {"depth = 13", "per_user = 0", "total = 16385", "per_second = 1001", "enabled = 1",
                                  "per_workload = \"many\"", "burst = 3"}) {
    EXPECT_EQ(messages_of_toml("[restrict]\n" + wrong).size(), 1u) << wrong;
  }
}

TEST(HostLoader, ReportsUnknownKeysAndWhatHasAnotherKind) {
  EXPECT_THAT(
      messages_of(load_host_policy("allow = []\nprivate_names = [\"*\", 1]\ngroups = []\n[limits]\nports = 1\n",
                                   Format::kToml, "host.toml")
                      .diagnostics),
      ElementsAre("host.toml:1:1: error: unknown key `allow`; accepted: groups, backend, deny, private_names, "
                  "block_networks, limits, profile, log, metrics, daemon, proxy, restrict",
                  HasSubstr("host.toml:2:18: error: "),
                  "host.toml:2:23: error: an item of `private_names` is an integer (1); accepted: a name pattern "
                  "as a string",
                  "host.toml:3:10: error: `groups` is a list; accepted: a table",
                  "host.toml:5:1: error: unknown key `ports` in [limits]; accepted: listen, loopback_low_ports, udp"));
  EXPECT_THAT(messages_of_toml("listen = \"deny\"\n"),
              ElementsAre("host.toml:1:1: error: `listen` is a key of [limits]"));
}

std::vector<std::string> blocks_of(std::string_view text) {
  const Loaded<HostPolicy> loaded = load_host_policy(text, Format::kToml, "host.toml");
  EXPECT_TRUE(loaded.ok()) << text;
  std::vector<std::string> out;
  for (const HostBlock& block : loaded.value.blocks) {
    std::string line =
        to_canonical_string(block.rule.endpoint) + " " + block.rule.from + " " + block.rule.origin.to_string();
    for (const std::string& name : block.exempt) line += " but " + name;
    out.push_back(std::move(line));
  }
  return out;
}

TEST(HostLoader, ReadsBlockedNetworks) {
  EXPECT_THAT(
      blocks_of("block_networks = [ \"10.0.0.0/8\",\n \"2001:db8::/32\" ]\n"),
      ElementsAre("10.0.0.0/8 block_networks host.toml:1:20", "[64:ff9b::a00:0]/104 block_networks host.toml:1:20",
                  "[2002:a00::]/24 block_networks host.toml:1:20", "[::10.0.0.0]/104 block_networks host.toml:1:20",
                  "[2001:db8::]/32 block_networks host.toml:2:2"));
  EXPECT_THAT(messages_of_toml("block_networks = [\"10.1.0.0/8\", \"10.0.0.1\", 7]\n"),
              ElementsAre("host.toml:1:19: warning: `10.1.0.0/8` has bits behind the prefix; the network is "
                          "`10.0.0.0/8`",
                          "host.toml:1:33: error: `10.0.0.1` is an address; the network of it alone is `10.0.0.1/32`",
                          "host.toml:1:45: error: an item of `block_networks` is an integer (7); accepted: \"private\" "
                          "or a network as a string"));
}

TEST(HostLoader, ReadsLimits) {
  const std::string low = " limits.loopback_low_ports host.toml:3:22 but builder but tool";
  EXPECT_THAT(blocks_of("[limits]\nlisten = \"policy\"\nloopback_low_ports = [\"builder\", \"tool\"]\nudp = "
                        "\"deny\"\n"),
              ElementsAre("*://127.0.0.0/8:1-1023" + low, "*://0.0.0.0:1-1023" + low, "*://[::1]:1-1023" + low,
                          "*://[::]:1-1023" + low, "udp://*:* limits.udp host.toml:4:7"));
  const auto listen_of = [](std::string_view text) {
    return load_host_policy(text, Format::kToml, "host.toml").value.listen_limit;
  };
  EXPECT_FALSE(listen_of("").is_denied);
  EXPECT_FALSE(listen_of("[limits]\nlisten = \"policy\"\n").is_denied);
  EXPECT_TRUE(listen_of("[limits]\nlisten = \"deny\"\n").is_denied);
  EXPECT_TRUE(listen_of("[limits]\nlisten = [\"web\"]\n").is_denied);
  EXPECT_THAT(listen_of("[limits]\nlisten = [\"web\"]\n").exempt, ElementsAre("web"));
  EXPECT_EQ(listen_of("[limits]\nlisten = [\"web\"]\n").origin.to_string(), "host.toml:2:10");
}

TEST(HostLoader, ReportsMistakesOfLimits) {
  EXPECT_THAT(messages_of_toml("profile = \"spine\"\n[limits]\nlisten = true\nloopback_low_ports = \"allow\"\n"
                               "udp = [\"A b\", \"x\", \"x\"]\n"),
              ElementsAre(HasSubstr("host.toml:1:11: error: `profile` is \"spine\"; accepted: \"spin\""),
                          HasSubstr("host.toml:3:10: error: `listen` is a boolean; accepted: \"deny\", \"policy\""),
                          HasSubstr("host.toml:4:22: error: `loopback_low_ports` is a string (\"allow\"); accepted: "),
                          HasSubstr("host.toml:5:8: error: \"A b\" in `udp` is no policy's name; accepted: "),
                          "host.toml:5:20: warning: \"x\" is twice in `udp`"));
}

TEST(HostLoader, TheSpinProfileDeniesUnlessALimitSaysOtherwise) {
  const Loaded<HostPolicy> spin = load_host_policy("profile = \"spin\"\n", Format::kToml, "host.toml");
  ASSERT_TRUE(spin.ok());
  EXPECT_TRUE(spin.value.listen_limit.is_denied);
  EXPECT_EQ(spin.value.blocks.size(), 5u);
  EXPECT_EQ(spin.value.blocks[0].rule.origin.to_string(), "host.toml:1:11");
  EXPECT_THAT(blocks_of("profile = \"spin\"\n[limits]\nloopback_low_ports = \"policy\"\nudp = [\"tool\"]\n"),
              ElementsAre("udp://*:* limits.udp host.toml:4:7 but tool"));
  EXPECT_THAT(messages_of_toml("profile = \"spin\"\n[limits]\nlisten = \"deny\"\n"), IsEmpty());
  for (const char* lifted : {"\"policy\"", "[\"web\"]"}) {
    EXPECT_THAT(messages_of_toml("profile = \"spin\"\n[limits]\nlisten = " + std::string(lifted) + "\n"),
                ElementsAre(HasSubstr("host.toml:3:10: error: `listen` lets policies listen, and with `profile")))
        << lifted;
  }
}

TEST(HostLoader, ReadsEverySetting) {
  const Loaded<HostFile> loaded = load_host_file(R"(deny = ["192.0.2.1"]
[log]
log_names = "none"
level = "debug"
[metrics]
listen = "[::1]:9464"
[daemon]
spare_children = 0
max_workloads = 262144
probe_interval = "0s"
group = "wheel"
)",
                                                 Format::kToml, "host.toml");
  ASSERT_THAT(messages_of(loaded.diagnostics), IsEmpty());
  EXPECT_EQ(loaded.value.policy.deny.size(), 1u);
  const HostSettings& settings = loaded.value.settings;
  EXPECT_EQ(settings.log_names, LogNames::kNone);
  EXPECT_EQ(settings.log_level, LogLevel::kDebug);
  EXPECT_EQ(settings.metrics_listen, (ResolverAddress{*parse_address("::1"), Port{9464}}));
  EXPECT_EQ(settings.spare_children, 0u);
  EXPECT_EQ(settings.max_workloads, 262144u);
  EXPECT_EQ(settings.probe_interval, 0s);
  EXPECT_EQ(settings.group, "wheel");
}

TEST(HostLoader, HasDefaultsForWhatIsNotWritten) {
  const Loaded<HostFile> loaded = load_host_file("[log]\n[metrics]\n[daemon]\n", Format::kToml, "host.toml");
  ASSERT_THAT(messages_of(loaded.diagnostics), IsEmpty());
  EXPECT_EQ(loaded.value.settings, HostSettings());
  EXPECT_EQ(HostSettings().log_names, LogNames::kRefused);
  EXPECT_FALSE(HostSettings().metrics_listen);
}

TEST(HostLoader, ListensForMetricsOnLoopbackOnly) {
  const auto with = [](const std::string& listen) { return "[metrics]\nlisten = \"" + listen + "\"\n"; };
  for (const char* good : {"127.0.0.1:9464", "127.1.2.3:1", "[::1]:9464"}) {
    EXPECT_THAT(messages_of_toml(with(good)), IsEmpty()) << good;
  }
  for (const char* bad : {"0.0.0.0:9464", "192.0.2.1:9464", "[::]:9464", "127.0.0.1", "::1", "[::1]", "127.0.0.1:0",
                          "127.0.0.1:65536", "localhost:9464", ":9464", ""}) {
    EXPECT_THAT(messages_of_toml(with(bad)),
                ElementsAre("host.toml:2:10: error: `listen` is \"" + std::string(bad) +
                            "\"; accepted: a loopback address with a port, such as \"127.0.0.1:9464\" or "
                            "\"[::1]:9464\""))
        << bad;
  }
}

TEST(HostLoader, ReadsTheSizeOfTheProxysCache) {
  const auto bytes = [](const std::string& value) {
    const auto loaded = load_host_file("[proxy]\ncache = " + value + "\n", Format::kToml, "host.toml");
    return loaded.ok() ? std::to_string(loaded.value.settings.proxy_cache_bytes) : loaded.diagnostics[0].message;
  };
  EXPECT_EQ(load_host_file("", Format::kToml, "host.toml").value.settings.proxy_cache_bytes, 8u << 20);
  EXPECT_EQ(bytes("0"), "0");
  EXPECT_EQ(bytes("\"0\""), "0");
  EXPECT_EQ(bytes("\"64KiB\""), "65536");
  EXPECT_EQ(bytes("\"3MiB\""), "3145728");
  EXPECT_EQ(bytes("\"1GiB\""), "1073741824");
  for (const char* bad :
       {"8", "\"8\"", "\"8MB\"", "\"63KiB\"", "\"2GiB\"", "\"MiB\"", "\"-1MiB\"", "\"99999999999999999GiB\""}) {
    EXPECT_THAT(bytes(bad), HasSubstr("accepted: \"64KiB\" to \"1GiB\"")) << bad;
  }
}

TEST(HostLoader, ReportsEveryMistakeOfItsSettings) {
  EXPECT_THAT(
      messages_of_toml("[log]\nlog_name = \"all\"\nlevel = \"loud\"\n[metrics]\nlisten = 9464\n[daemon]\n"
                       "spare_children = 4097\nmax_workloads = 0\nprobe_interval = \"10ms\"\ngroup = \"a b\"\n"),
      ElementsAre("host.toml:2:1: error: unknown key `log_name` in [log]; did you mean `log_names`?",
                  "host.toml:3:9: error: `level` is \"loud\"; accepted: \"debug\", \"info\", \"warning\", "
                  "\"error\"",
                  "host.toml:5:10: error: `listen` is an integer (9464); accepted: a string",
                  "host.toml:7:18: error: `spare_children` is an integer (4097); accepted: an integer from 0 to "
                  "4096",
                  "host.toml:8:17: error: `max_workloads` is an integer (0); accepted: an integer from 1 to 262144",
                  "host.toml:9:18: error: `probe_interval` is a string (\"10ms\"); accepted: at least \"1s\", or "
                  "\"0s\" for no live proofs",
                  "host.toml:10:9: error: `group` is \"a b\"; accepted: the name or number of a group"));
  EXPECT_THAT(messages_of_toml("log = 1\n"), ElementsAre(HasSubstr("`log` is an integer (1); accepted: a table")));
}

}  // namespace
}  // namespace namewall
