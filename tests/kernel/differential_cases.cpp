#include "tests/kernel/differential_cases.h"

#include <algorithm>

#include "policy/host_loader.h"
#include "tests/kernel/support/socket_address.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

const std::vector<std::string> kSuffixes = {"example.com", "corp.example", "a.test",
                                            "b.a.test",    "test",         "s3.eu.aws.test"};
const std::vector<std::string> kLabels = {"a", "b", "www", "api", "api-1", "x1y", "s3", "eu"};
const std::vector<std::string> kPorts = {"443", "80", "22", "1000-1003", "443,8443", "*", "65535", "1"};
const std::vector<std::uint16_t> kPortNumbers = {1, 22, 53, 80, 443, 999, 1000, 1003, 1004, 8443, 65535};
const std::vector<std::string> kPrefixes = {"192.0.2.0/24", "192.0.2.16/28",   "198.51.100.7",      "0.0.0.0/0",
                                            "10.0.0.0/8",   "[2001:db8::]/32", "[2001:db8:1::]/48", "[2001:db8::1]",
                                            "[::]/0",       "192.0.2.17"};
// Where connects go: public and private, both families.
const std::vector<std::string> kDestinations = {
    "192.0.2.1", "192.0.2.2",   "192.0.2.17", "192.0.2.18",  "198.51.100.7",  "198.51.100.8",
    "10.1.2.3",  "100.64.1.1",  "172.16.5.5", "2001:db8::1", "2001:db8:1::1", "2001:db8:2::1",
    "fd00::5",   "203.0.113.9", "10.77.0.1",  "127.0.0.9",   "::1",           "0.0.0.0"};
// What answers say beside those: addresses that teach nobody.
const std::vector<std::string> kSpecial = {
    "127.0.0.1", "169.254.169.254", "0.0.0.0",           "255.255.255.255",  "224.0.0.1",
    "::1",       "fe80::1",         "64:ff9b::c000:201", "2002:c000:201::1", "ff02::1",
    "::",        "10.77.0.2",       "fd77::2",           "2001::1"};

}  // namespace

std::string DifferentialCases::name() {
  std::string text = pick(kSuffixes);
  for (unsigned depth = below(4); depth > 0; --depth) text = pick(kLabels) + "." + text;
  return text;
}

std::string DifferentialCases::pattern() {
  const std::string suffix = pick(kSuffixes);
  switch (below(9)) {
    case 0:
      return "*." + suffix;
    case 1:
      return "**." + suffix;
    case 2:
      return "a*." + suffix;
    case 3:
      return "x*y." + suffix;
    case 4:
      return "*." + pick(kLabels) + ".*." + suffix;
    case 5:
      return "**." + pick(kLabels) + ".*." + suffix;
    case 6:
      return pick(kLabels) + ".*." + suffix;
    default:
      return name();
  }
}

std::string DifferentialCases::endpoint() {
  const std::string scheme = pick(std::vector<std::string>{"tcp://", "udp://", "*://"});
  if (one_in(4)) return scheme + pick(kPrefixes) + ":" + pick(kPorts);
  return scheme + pattern() + ":" + pick(kPorts) + (one_in(4) ? "?private" : "");
}

Policy DifferentialCases::policy() {
  std::vector<std::string> allow, deny;
  for (unsigned i = below(8) + 1; i > 0; --i) allow.push_back(endpoint());
  for (unsigned i = below(4); i > 0; --i) {
    auto rule = endpoint();
    if (const auto end = rule.find("?private"); end != std::string::npos) rule.resize(end);
    deny.push_back(rule);
  }
  auto policy = make_policy(allow, deny);
  if (one_in(3)) policy.dns.search = {DomainName::from_normal("corp.example")};
  policy.dns.min_ttl = std::chrono::milliseconds(300);
  policy.dns.max_ttl = std::chrono::seconds(3000);
  policy.dns.grace = std::chrono::milliseconds(one_in(2) ? 0 : 5000);
  policy.loopback = Loopback::kNone;
  if (one_in(5)) policy.dns.learn = Learn::kProxy;
  return policy;
}

HostPolicy DifferentialCases::host() {
  std::string text;
  if (one_in(4)) text += "deny = [\"" + std::string(one_in(2) ? "udp://*:443" : "192.0.2.16/28") + "\"]\n";
  if (one_in(3)) {
    text +=
        "block_networks = [\"" +
        pick(std::vector<std::string>{"private", "private", "10.0.0.0/8", "127.0.0.0/8", "::/0", "203.0.113.0/24"}) +
        "\"]\n";
  }
  text += "[limits]\n";
  for (const char* limit : {"listen", "loopback_low_ports", "udp"}) {
    if (one_in(4)) text += std::string(limit) + (one_in(3) ? " = [\"other\"]\n" : " = \"deny\"\n");
  }
  const auto loaded = load_host_policy(text, Format::kToml, "host.toml");
  EXPECT_TRUE(loaded.ok()) << text;
  return loaded.value;
}

Bytes DifferentialCases::question() {
  const auto id = static_cast<std::uint16_t>(below(65536));
  const auto type = pick(std::vector<std::uint16_t>{1, 1, 1, 28, 28, 5, 16, 65, 255});
  std::string text = name();
  if (one_in(4)) {
    for (auto& c : text) {
      if (one_in(3)) c = static_cast<char>(std::toupper(c));
    }
  }
  Bytes message = make_question(id, text, type, one_in(3));
  if (one_in(6)) mutate(message, 2);
  return message;
}

std::uint32_t DifferentialCases::ttl() {
  return pick(std::vector<std::uint32_t>{0, 0, 1, 60, 600, 86400, 0x7fffffff, 0x80000000, 0xffffffff});
}

Address DifferentialCases::address() { return ip(one_in(5) ? pick(kSpecial) : pick(kDestinations)); }

Bytes DifferentialCases::honest_answer(const Bytes& question) {
  const auto asked = read_question(question);
  std::vector<ZoneRecord> records;
  std::string owner = asked.name;
  for (unsigned hops = one_in(2) ? 0 : below(19); hops > 0; --hops) {
    const std::string target = name();
    records.push_back({owner, ttl(), target, {}});
    owner = target;
  }
  for (unsigned i = below(6); i > 0; --i) records.push_back({owner, ttl(), "", address()});
  for (unsigned i = below(3); i > 0; --i) records.push_back({name(), ttl(), one_in(2) ? name() : "", address()});
  if (one_in(2)) std::shuffle(records.begin(), records.end(), random_);
  std::uint16_t flags = kFlagsAnswer;
  if (one_in(12)) flags |= static_cast<std::uint16_t>(below(16));
  if (one_in(20)) flags |= kFlagTruncated;
  return make_answer(question, records, flags);
}

// Owners and targets by pointers to anywhere: earlier names, their middles, the header, themselves, forward.
Bytes DifferentialCases::hostile_answer(const Bytes& question) {
  const auto asked = read_question(question);
  const auto count = below(one_in(8) ? 260 : 8) + 1;
  DnsBytes message(asked.id, kFlagsAnswer, 1, static_cast<std::uint16_t>(count + (one_in(20) ? below(3) : 0)));
  const std::size_t end = kDnsHeader + asked.name.size() + 2 + 4;
  message.raw(Bytes(question.begin() + kDnsHeader, question.begin() + static_cast<std::ptrdiff_t>(end)));
  std::vector<std::uint16_t> offsets = {kDnsHeader};
  for (std::size_t i = kDnsHeader; i + 6 < end; i += 1 + question[i]) offsets.push_back(static_cast<std::uint16_t>(i));
  const auto add_name = [&] {
    const auto at = static_cast<std::uint16_t>(message.size());
    if (one_in(3)) {
      if (one_in(2)) message.labels(pick(kLabels));
      if (one_in(8))
        message.pointer(static_cast<std::uint16_t>(below(static_cast<std::uint32_t>(message.size()) + 40)));
      else
        message.pointer(pick(offsets));
    } else if (one_in(2)) {
      message.pointer(kDnsHeader);
    } else {
      message.name(name());
    }
    offsets.push_back(at);
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    add_name();
    const auto type = pick(std::vector<std::uint16_t>{1, 1, 1, 5, 5, 28, 16, 41});
    message.u16(type).u16(one_in(20) ? 3 : 1).u32(ttl());
    if (type == 5) {
      DnsBytes target(0, 0, 0, 0);
      if (one_in(2))
        target.pointer(pick(offsets));
      else if (one_in(2))
        target.labels(pick(kLabels)).pointer(pick(offsets));
      else
        target.name(name());
      const Bytes data(target.bytes().begin() + kDnsHeader, target.bytes().end());
      message.u16(static_cast<std::uint16_t>(data.size() + (one_in(25) ? 1 : 0)));
      offsets.push_back(static_cast<std::uint16_t>(message.size()));
      message.raw(data);
    } else {
      Bytes data = type == 16 || type == 41 ? Bytes(below(12), 7) : address_data(address());
      if (type == 1) data.resize(4, 9);
      if (type == 28) data.resize(16, 9);
      if (one_in(40)) data.resize(data.size() / 2);
      message.u16(static_cast<std::uint16_t>(data.size())).raw(data);
    }
  }
  return message.bytes();
}

Bytes DifferentialCases::answer(const Bytes& question) {
  Bytes message = one_in(2) ? hostile_answer(question) : honest_answer(question);
  const auto behind_question = kDnsHeader + read_question(question).name.size() + 2 + 4;
  if (one_in(4) && message.size() > behind_question) mutate(message, behind_question);
  return message;
}

void DifferentialCases::mutate(Bytes& message, std::size_t from) {
  for (unsigned times = below(3) + 1; times > 0; --times) {
    if (message.size() <= from) return;
    const auto at = from + below(static_cast<std::uint32_t>(message.size() - from));
    switch (below(5)) {
      case 0:
        message[at] = static_cast<std::uint8_t>(below(256));
        break;
      case 1:
        message[at] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 2:
        message.resize(at);
        break;
      case 3:
        message.insert(message.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(below(256)));
        break;
      case 4:
        message.push_back(static_cast<std::uint8_t>(below(256)));
        break;
    }
  }
}

Destination DifferentialCases::destination() {
  return {one_in(2) ? Protocol::kTcp : Protocol::kUdp, ip(pick(kDestinations)), Port{pick(kPortNumbers)}};
}

}  // namespace namewall::kernel_tests
