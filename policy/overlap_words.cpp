#include "policy/overlap_words.h"

#include <algorithm>

#include "policy/escape.h"

namespace namewall {
namespace {

// `protocol`: "", "tcp " or "udp ".
std::string words_of(const std::string& list, const std::string& protocol = "") {
  if (list == "*") return "every " + protocol + "port";
  return protocol + (list.find_first_of(",-") == std::string::npos ? "port " : "ports ") + list;
}

}  // namespace

std::string port_words(const PortSet& ports, const PortSet& all) {
  const std::string tcp = ports.list_of(Protocol::kTcp), udp = ports.list_of(Protocol::kUdp);
  const bool has_tcp = !all.list_of(Protocol::kTcp).empty(), has_udp = !all.list_of(Protocol::kUdp).empty();
  std::vector<std::string> parts;
  if (!tcp.empty() && (tcp == udp || !has_udp)) {
    parts.push_back(words_of(tcp));
  } else if (!udp.empty() && !has_tcp) {
    parts.push_back(words_of(udp));
  } else {
    if (!tcp.empty()) parts.push_back(words_of(tcp, "tcp "));
    if (!udp.empty()) parts.push_back(words_of(udp, "udp "));
  }
  if (ports.contains(Protocol::kIcmp, Port{0})) parts.emplace_back("icmp");
  return join_some(parts, parts.size());
}

std::string verb_for(const std::string& words) {
  return words.find("ports ") != std::string::npos || words.find(" and ") != std::string::npos ? "are" : "is";
}

std::string place_of(const Origin& origin) {
  return origin.line == 0 ? origin.file : origin.file + ":" + std::to_string(origin.line);
}

std::string place_of(const Rule& rule) {
  return place_of(rule.origin) + (rule.from.empty() ? "" : " (" + rule.from + ")");
}

std::string join_some(const std::vector<std::string>& words, std::size_t shown) {
  std::string text;
  const std::size_t count = std::min(words.size(), shown);
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_last = i + 1 == count && count == words.size();
    text += (i == 0 ? "" : is_last ? " and " : ", ") + words[i];
  }
  return count == words.size() ? text : text + " and " + std::to_string(words.size() - count) + " more";
}

std::string in_quotes(const Rule& rule) { return quote_for_display(rule.endpoint.text); }

}  // namespace namewall
