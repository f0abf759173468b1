#include "tests/support/random_policy.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "policy/host_loader.h"
#include "tests/support/dns_builder.h"

namespace namewall::testing {
namespace {

constexpr std::array kLabels = {"a", "b", "ab", "ba", "abb"};
constexpr std::array kGlobLabels = {"*", "a*", "*b", "a*b", "*a*"};
constexpr std::array<std::uint16_t, 6> kPorts = {22, 53, 80, 443, 444, 8080};
constexpr std::array kPortLists = {"443", "22", "80,443", "400-500", "1-1023", "*", "53"};
constexpr std::array kSchemes = {"tcp", "udp", "*", "tcp", "tcp"};
constexpr std::array kPrefixes = {"192.0.2.0/24",    "192.0.2.1",     "192.0.2.128/25",    "192.0.0.0/16",
                                  "10.0.0.0/8",      "10.1.0.0/16",   "127.0.0.1",         "169.254.169.254",
                                  "[2001:db8::]/32", "[2001:db8::1]", "[2001:db8:1::]/48", "[::1]",
                                  "[fd00::]/8"};
constexpr std::array kAddresses = {
    "192.0.2.1",  "192.0.2.2",   "192.0.2.200",   "198.51.100.1",      "10.0.0.1",
    "10.1.2.3",   "127.0.0.1",   "127.0.0.2",     "169.254.169.254",   "0.0.0.0",
    "100.64.0.1", "2001:db8::1", "2001:db8:1::1", "2001:db8:2::1",     "::1",
    "::",         "fd00::1",     "fe80::1",       "64:ff9b::10.0.0.1", "2002:c000:201::1"};

}  // namespace

Rule rule_of(const std::string& text, EndpointUse use, std::uint32_t line) {
  Result<Endpoint> endpoint = parse_endpoint(text, use);
  if (!endpoint) {
    std::fprintf(stderr, "test set-up: %s\n", endpoint.error().what.c_str());
    std::abort();
  }
  return {*std::move(endpoint), {"test.toml", line, 1}};
}

std::string PolicyGenerator::label() { return kLabels[below(kLabels.size())]; }

std::string PolicyGenerator::literal(std::uint32_t labels) {
  std::string text;
  for (std::uint32_t i = 0; i < labels; ++i) text += (i == 0 ? "" : ".") + label();
  return text;
}

std::string PolicyGenerator::pattern() {
  const std::string suffix = literal(1 + below(3));
  switch (below(globs_left_ > 0 ? 5 : 4)) {
    case 0:
      return "*." + suffix;
    case 1:
      return "**." + suffix;
    case 2:
    case 3:
      return suffix;
    default:
      break;
  }
  --globs_left_;
  std::string text = chance(30) ? "**." : "";
  text += kGlobLabels[below(kGlobLabels.size())];
  if (chance(50)) text += "." + label();
  if (chance(30)) text += std::string(".") + kGlobLabels[below(kGlobLabels.size())];
  if (chance(80)) text += "." + literal(1 + below(2));
  return text == "*" || text == "**.*" ? text + ".a" : text;
}

std::string PolicyGenerator::prefix() { return kPrefixes[below(kPrefixes.size())]; }

std::string PolicyGenerator::ports() { return kPortLists[below(kPortLists.size())]; }

std::string PolicyGenerator::endpoint() {
  const std::string host = chance(75) ? pattern() : chance(90) ? prefix() : "*";
  if (chance(5)) return "icmp://" + host;
  return std::string(kSchemes[below(kSchemes.size())]) + "://" + host + ":" + ports();
}

RandomPolicy PolicyGenerator::policy() {
  RandomPolicy made;
  globs_left_ = 5;
  std::uint32_t line = 0;
  const auto fill = [&](std::vector<Rule>& rules, std::uint32_t most, EndpointUse use) {
    for (std::uint32_t i = below(most + 1); i > 0; --i) {
      std::string text = endpoint();
      if (use == EndpointUse::kDeny && chance(20)) text = literal(1 + below(3));
      rules.push_back(rule_of(text, use, ++line));
      if (use == EndpointUse::kAllow && std::holds_alternative<NamePattern>(rules.back().endpoint.host)) {
        rules.back().endpoint.permits_private = chance(25);
      }
    }
  };
  made.policy.name = "random";
  made.policy.mode = chance(10) ? Mode::kAudit : Mode::kEnforce;
  made.policy.loopback = std::array{Loopback::kNone, Loopback::kOwn, Loopback::kAny}[below(3)];
  fill(made.policy.allow, 8, EndpointUse::kAllow);
  fill(made.policy.deny, 3, EndpointUse::kDeny);
  fill(made.host.deny, 2, EndpointUse::kDeny);
  if (chance(30)) fill(made.host.private_names, 2, EndpointUse::kDeny);
  if (chance(40)) limit(made);
  for (std::uint32_t i = below(3); i > 0; --i) made.system.search.push_back(name_of(literal(1 + below(2))));
  made.system.nameservers = {{address_of("192.0.2.53"), Port{53}}};
  made.policy.origin = {"test.toml", 1, 1};
  return made;
}

// The last policy that one of them exempts is the one that is made, or another.
void PolicyGenerator::limit(RandomPolicy& made) {
  std::string text;
  const auto exempt = [&] {
    return std::string(chance(25) ? "[\"random\"]" : chance(50) ? "\"deny\"" : "[\"other\"]");
  };
  if (chance(50)) {
    constexpr std::array kNetworks = {"\"private\"",      "\"127.0.0.0/8\"", "\"127.0.0.2/32\"",
                                      "\"192.0.2.0/24\"", "\"::/0\"",        "\"10.0.0.0/8\""};
    text += "block_networks = [" + std::string(kNetworks[below(kNetworks.size())]) + "]\n";
  }
  text += "[limits]\n";
  if (chance(50)) text += "listen = " + exempt() + "\n";
  if (chance(50)) text += "loopback_low_ports = " + exempt() + "\n";
  if (chance(50)) text += "udp = " + exempt() + "\n";
  const Loaded<HostPolicy> loaded = load_host_policy(text, Format::kToml, "host.toml");
  if (!loaded.ok()) std::abort();
  made.host.blocks = loaded.value.blocks;
  made.host.listen_limit = loaded.value.listen_limit;
}

DomainName PolicyGenerator::name() { return name_of(literal(1 + below(6))); }

std::string PolicyGenerator::name_text() {
  std::string text = name().text();
  for (char& c : text) {
    if (c != '.' && chance(20)) c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

Address PolicyGenerator::address() { return address_of(kAddresses[below(kAddresses.size())]); }

Port PolicyGenerator::port() { return Port{kPorts[below(kPorts.size())]}; }

Protocol PolicyGenerator::protocol() {
  return chance(10) ? Protocol::kIcmp : chance(50) ? Protocol::kTcp : Protocol::kUdp;
}

}  // namespace namewall::testing
