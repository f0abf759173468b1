#include "agent/doctor_marks.h"

#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "agent/client/program_output.h"
#include "agent/text_file.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {
namespace {

using State = DoctorCheck::State;
using Json = nlohmann::json;

constexpr std::uint32_t kOurBits = 0xffff0000;
constexpr std::uint32_t kAllBits = 0xffffffff;
constexpr std::size_t kMaxShown = 4;

bool is_mark(const Json& expression) {
  return expression.is_object() && expression.contains("meta") && expression["meta"].is_object() &&
         expression["meta"].value("key", "") == "mark";
}

bool mentions_mark(const Json& expression) {
  if (is_mark(expression)) return true;
  if (!expression.is_structured()) return false;
  for (const Json& part : expression) {
    if (mentions_mark(part)) return true;
  }
  return false;
}

std::optional<std::uint32_t> number_in(const Json& operands) {
  if (!operands.is_array()) return std::nullopt;
  for (const Json& operand : operands) {
    if (operand.is_number_unsigned()) return static_cast<std::uint32_t>(operand.get<std::uint64_t>());
  }
  return std::nullopt;
}

// The bits of the mark that the value of an expression depends on.
std::uint32_t bits_read(const Json& expression) {
  if (is_mark(expression)) return kAllBits;
  if (!expression.is_structured()) return 0;
  if (expression.is_object() && expression.contains("&") && mentions_mark(expression["&"])) {
    return number_in(expression["&"]).value_or(kAllBits);
  }
  std::uint32_t bits = 0;
  for (const Json& part : expression) bits |= bits_read(part);
  return bits;
}

// The bits that differ where the mark becomes `value`: "mark or 0x4000" leaves the others as they are.
std::uint32_t bits_set(const Json& value) {
  if (is_mark(value)) return 0;
  if (!value.is_object() || !mentions_mark(value)) return kAllBits;
  for (const char* operation : {"|", "^", "&"}) {
    if (!value.contains(operation)) continue;
    const Json& operands = value[operation];
    const auto number = number_in(operands);
    if (!number) return kAllBits;
    std::uint32_t bits = *operation == '&' ? ~*number : *number;
    for (const Json& operand : operands) {
      if (operand.is_structured()) bits |= bits_set(operand);
    }
    return bits;
  }
  return kAllBits;
}

std::uint32_t bits_of_statement(const Json& statement) {
  if (!statement.is_object()) return 0;
  if (statement.contains("mangle") && statement["mangle"].is_object()) {
    const Json& mangle = statement["mangle"];
    const Json value = mangle.value("value", Json());
    return mangle.contains("key") && is_mark(mangle["key"]) ? bits_set(value) : bits_read(value);
  }
  if (statement.contains("xt") && statement["xt"].is_object()) {  // of iptables-nft: what it says is not shown
    const std::string name = statement["xt"].value("name", "");
    return name == "mark" || name == "MARK" || name == "CONNMARK" ? kAllBits : 0;
  }
  return bits_read(statement);
}

// Each rule of a family that reads our bits.
Result<std::vector<std::string>> find_ip_rules(int family) {
  const FileDescriptor netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink) return fail_errno(errno, "cannot ask for ip rules");
  struct {
    nlmsghdr header;
    fib_rule_hdr rule;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETRULE;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.rule.family = static_cast<std::uint8_t>(family);
  if (::send(netlink.get(), &request, sizeof request, 0) < 0) return fail_errno(errno, "cannot ask for ip rules");
  std::vector<std::string> found;
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t length = ::recv(netlink.get(), buffer.data(), buffer.size(), 0);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return fail_errno(errno, "cannot read ip rules");
    auto left = static_cast<unsigned>(length);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) return found;
      if (header->nlmsg_type == NLMSG_ERROR) return fail(ErrorKind::kSystem, "the kernel does not list ip rules");
      std::uint32_t mark = 0, mask = 0, priority = 0;
      auto* attribute =
          reinterpret_cast<rtattr*>(static_cast<char*>(NLMSG_DATA(header)) + NLMSG_ALIGN(sizeof(fib_rule_hdr)));
      for (auto room = static_cast<int>(NLMSG_PAYLOAD(header, sizeof(fib_rule_hdr))); RTA_OK(attribute, room);
           attribute = RTA_NEXT(attribute, room)) {
        std::uint32_t value = 0;
        if (RTA_PAYLOAD(attribute) != sizeof value) continue;
        std::memcpy(&value, RTA_DATA(attribute), sizeof value);
        if (attribute->rta_type == FRA_FWMARK) mark = value;
        if (attribute->rta_type == FRA_FWMASK) mask = value;
        if (attribute->rta_type == FRA_PRIORITY) priority = value;
      }
      if ((mask & kOurBits) == 0) continue;
      char text[64];
      std::snprintf(text, sizeof text, "%s rule %u (fwmark 0x%x/0x%x)", family == AF_INET ? "IPv4" : "IPv6", priority,
                    mark, mask);
      found.emplace_back(text);
    }
  }
}

DoctorCheck check_of(const char* id, const std::vector<std::string>& rules, const std::string& verb) {
  if (rules.empty()) return {"host", id, State::kHolds, "no rule has to do with bits 16 to 31 of marks"};
  std::string sentence = "these " + verb + " bits 16 to 31 of marks, where packets to the DNS proxy say who asks: ";
  for (std::size_t i = 0; i < rules.size() && i < kMaxShown; ++i) sentence += (i > 0 ? "; " : "") + rules[i];
  if (rules.size() > kMaxShown) sentence += "; and " + std::to_string(rules.size() - kMaxShown) + " more";
  return {"host", id, State::kOptional, sentence};
}

DoctorCheck check_ip_rules() {
  std::vector<std::string> all;
  for (const int family : {AF_INET, AF_INET6}) {
    auto rules = find_ip_rules(family);
    if (!rules) return {"host", "mark_ip_rules", State::kOptional, "could not look: " + rules.error().message()};
    all.insert(all.end(), rules->begin(), rules->end());
  }
  return check_of("mark_ip_rules", all, "read");
}

DoctorCheck check_nft_rules() {
  const auto could_not = [](const std::string& why) {
    return DoctorCheck{"host", "mark_nft_rules", State::kOptional, "could not look: " + why};
  };
  const auto listed = run_program({"nft", "-j", "list", "ruleset"});
  if (!listed) return could_not(listed.error().message());
  if (listed->exit_code != 0) return could_not("nft failed");
  const auto rules = find_nft_mark_rules(listed->out);
  if (!rules) return could_not("nft's list of rules is not as expected, or too long");
  if (rules->empty()) {
    for (const char* names : {"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"}) {
      const auto tables = read_text_file(names);
      if (tables && !tables->empty()) return could_not("rules of iptables-legacy are not shown by nft");
    }
  }
  return check_of("mark_nft_rules", *rules, "read or set");
}

}  // namespace

std::optional<std::vector<std::string>> find_nft_mark_rules(std::string_view ruleset_json) {
  const Json ruleset = Json::parse(ruleset_json, nullptr, false);
  if (!ruleset.is_object() || !ruleset.contains("nftables") || !ruleset["nftables"].is_array()) return std::nullopt;
  std::vector<std::string> found;
  for (const Json& object : ruleset["nftables"]) {
    if (!object.is_object() || !object.contains("rule") || !object["rule"].is_object()) continue;
    const Json& rule = object["rule"];
    std::uint32_t bits = 0;
    for (const Json& statement : rule.value("expr", Json::array())) bits |= bits_of_statement(statement);
    if ((bits & kOurBits) == 0) continue;
    found.push_back(rule.value("family", "?") + " " + rule.value("table", "?") + " " + rule.value("chain", "?") +
                    ", handle " + std::to_string(rule.value("handle", 0)));
  }
  return found;
}

std::vector<DoctorCheck> check_marks() { return {check_ip_rules(), check_nft_rules()}; }

}  // namespace namewall::agent
