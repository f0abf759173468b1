// Where the native meaning of a Spin list differs from Spin's, by the table `differences` of the vector files; on every
// other recorded fact they agree. docs/spin.md has the same table for people.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "policy/host_loader.h"
#include "policy/policy_image.h"
#include "policy/spin_endpoint.h"
#include "policy/spin_list.h"
#include "policy/verdict.h"
#include "tests/support/dns_builder.h"

namespace namewall {
namespace {

using nlohmann::json;

std::string read_source(const std::string& path) {
  std::ifstream stream(NAMEWALL_SOURCE_DIR + ("/" + path));
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<json> vector_files() {
  return {json::parse(read_source("tests/vectors/spin.json")),
          json::parse(read_source("tests/vectors/spin_more.json"))};
}

std::vector<std::string> words_of(const json& entry, const char* key) {
  return entry.contains(key) ? entry[key].get<std::vector<std::string>>() : std::vector<std::string>();
}

// The rules of a list; a list with a mistake is no policy, and nothing is allowed.
Policy policy_of(const json& entry, bool strict_sockets) {
  const SpinVariables variables = entry.value("variables", SpinVariables());
  Policy policy;
  for (const std::string& text : words_of(entry, "allowed")) {
    const auto read = read_spin_list_entry(text, variables);
    if (!read) return {};
    const std::string native = read->parsed ? convert_spin_entry(*read->parsed, strict_sockets).text : "";
    if (!native.empty()) policy.allow.push_back({parse_endpoint(native, EndpointUse::kAllow).value(), {}});
  }
  return policy;
}

PolicyImage image_of(const json& entry, const Policy& policy) {
  const std::string host_text = json{{"block_networks", words_of(entry, "block_networks")}}.dump();
  const auto host = load_host_policy(host_text, Format::kJson, "host.toml");
  EXPECT_TRUE(host.ok()) << host_text;
  return compile_policy(policy, host.value, {}).value();
}

bool allows_address(const json& entry, const PolicyImage& image, Protocol protocol, const Address& address, Port port) {
  GrantTable grants(16);
  const BootTime now{};
  const auto answers = entry.value("answers", std::map<std::string, std::string>());
  for (const auto& [name, answer] : answers) {
    const auto teaching = judge_answer(image, testing::AnswerBuilder(name).a(name, 60, answer).build(), {}, now);
    grants.learn(teaching.grants, now);
  }
  return judge(image, grants, {protocol, address, port}, now).allowed;
}

bool allows_target(const json& entry, const PolicyImage& image, std::string_view scheme) {
  const auto url = parse_spin_target(entry["target"].get<std::string>(), scheme);
  if (!url) return false;
  auto default_port = spin_default_port(url->scheme);
  if (url->scheme == "ws") default_port = 80;
  if (!url->port && !default_port) return false;
  const Port port{url->port ? *url->port : *default_port};
  const Protocol protocol = url->scheme == "udp" ? Protocol::kUdp : Protocol::kTcp;
  if (const auto* address = std::get_if<SpinAddress>(&*url->host)) {
    return allows_address(entry, image, protocol, address->address, port);
  }
  const auto name = DomainName::parse(std::get<std::string>(*url->host));
  return name && (decide_name(image, *name).allow & image.mask_of(protocol, port)) != 0;
}

// What of a socket is no connection: TCP listens where `listen` says so, and a UDP socket may be bound anywhere.
bool allows_socket(const json& entry, const PolicyImage& image) {
  const bool is_udp = entry.value("proto", "tcp") == "udp";
  const std::string operation = entry.value("op", "connect");
  if (operation == "bind" || operation == "listen" || operation == "accept") return is_udp;
  return allows_target(entry, image, is_udp ? "udp" : "tcp");
}

// Of a policy that names the very address, where somebody else listens.
bool blocks_address(const json& entry) {
  const Address address = parse_spin_address(entry["ip"].get<std::string>())->address;
  Policy policy;
  policy.allow.push_back({{Prefix::of(address), PortSet::all(), false, "", false}, {}});
  const PolicyImage image = image_of(entry, policy);
  return !judge(image, GrantTable(16), {Protocol::kTcp, address, Port{1}}, {}, LoopbackListener::kForeign).allowed;
}

bool native_says_yes(const json& entry) {
  const std::string kind = entry["kind"];
  const bool strict_sockets = entry.value("sockets", "all") == "strict";
  if (kind.starts_with("ip_")) return blocks_address(entry);
  const PolicyImage image = image_of(entry, policy_of(entry, strict_sockets));
  if (kind.starts_with("socket_")) return allows_socket(entry, image);
  return allows_target(entry, image, entry.value("default_scheme", "https"));
}

bool spin_says_yes(const std::string& kind) {
  return kind == "allows" || kind == "socket_allows" || kind == "ip_blocked";
}

// Kinds that are about reach; the others are about what Spin can read.
bool is_about_reach(const json& entry) {
  const std::string kind = entry["kind"];
  return !kind.starts_with("parse_") && !kind.starts_with("list_");
}

TEST(NativeAndSpin, DifferInTheVectorsOfTheTableAlone) {
  std::set<std::string> listed;
  for (const json& file : vector_files()) {
    for (const json& row : file["differences"]) {
      for (const std::string& id : words_of(row, "vectors")) {
        EXPECT_TRUE(listed.insert(id).second) << id << " is in two rows";
      }
    }
  }
  for (const json& file : vector_files()) {
    for (const json& entry : file["vectors"]) {
      if (!is_about_reach(entry)) continue;
      const bool differs = native_says_yes(entry) != spin_says_yes(entry["kind"]);
      const bool is_listed = listed.erase(entry["id"]) != 0;
      EXPECT_EQ(differs, is_listed) << (differs ? "differs" : "does not differ") << ": " << entry.dump();
    }
  }
  EXPECT_TRUE(listed.empty()) << "no such vector: " << *listed.begin();
}

// What needs more than a list and a target: answers of DNS, `sockets`.
TEST(NativeAndSpin, DifferInTheCasesOfTheTable) {
  for (const json& file : vector_files()) {
    for (const json& row : file["differences"]) {
      for (const json& one : row.value("cases", json::array())) {
        EXPECT_NE(native_says_yes(one), spin_says_yes(one["kind"])) << one.dump();
      }
      EXPECT_TRUE(row.contains("vectors") || row.contains("cases")) << row.dump();
    }
  }
}

TEST(NativeAndSpin, HaveEveryRowInTheGuide) {
  const std::string guide = read_source("docs/spin.md");
  for (const json& row : vector_files().front()["differences"]) {
    const std::string id = row["id"];
    EXPECT_NE(guide.find("| `" + id + "` |"), std::string::npos) << id;
    EXPECT_FALSE(row["rule"].get<std::string>().empty()) << id;
    EXPECT_FALSE(row["reason"].get<std::string>().empty()) << id;
  }
}

}  // namespace
}  // namespace namewall
