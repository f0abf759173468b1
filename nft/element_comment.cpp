// The comments of elements: what a person reads in `nft list`, and what a daemon reads back.
#include <array>
#include <charconv>
#include <cstdio>

#include "nft/element.h"

namespace namewall::nft {
namespace {

constexpr std::string_view kBy = " by ", kCut = "...", kPolicy = " policy ";
constexpr std::string_view kWorkload = "workload ", kTemplate = "template ";

// nft prints comments in quotes as they are.
bool is_plain(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '"'; }

std::string made_plain(std::string_view text) {
  std::string plain(text);
  for (auto& c : plain) {
    if (!is_plain(c)) c = '?';
  }
  return plain;
}

// Not within a UTF-8 sequence.
std::string cut_to(std::string_view text, std::size_t size) {
  if (text.size() <= size) return std::string(text);
  std::size_t end = size - kCut.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)).append(kCut);
}

template <typename Number>
bool take_number(std::string_view& text, Number& number, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end == text.data()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

std::string escaped(std::string_view path) {
  std::string text;
  for (const char c : path) {
    if (is_plain(c) && c != '%') {
      text += c;
      continue;
    }
    std::array<char, 4> code{};
    std::snprintf(code.data(), code.size(), "%%%02X", static_cast<unsigned char>(c));
    text += code.data();
  }
  return text;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string path;
  while (!text.empty()) {
    if (text.front() != '%') {
      path += text.front();
      text.remove_prefix(1);
      continue;
    }
    std::uint8_t byte = 0;
    auto digits = text.substr(1, 2);
    if (digits.size() != 2 || !take_number(digits, byte, 16) || !digits.empty()) return std::nullopt;
    path += static_cast<char>(byte);
    text.remove_prefix(3);
  }
  return path;
}

}  // namespace

std::string to_comment(const GrantComment& comment) {
  const std::string others = comment.others == 0 ? "" : " +" + std::to_string(comment.others);
  const std::string head = cut_to(made_plain(comment.name), kMaxComment - others.size()) + others;
  if (comment.rule.empty() || head.size() + kBy.size() + kCut.size() > kMaxComment) return head;
  return cut_to(head + std::string(kBy) + made_plain(comment.rule), kMaxComment);
}

std::optional<GrantComment> parse_grant_comment(std::string_view text) {
  GrantComment comment;
  const auto by = text.find(kBy);
  if (by != std::string_view::npos) comment.rule = text.substr(by + kBy.size());
  const auto head = text.substr(0, by);
  const auto space = head.find(' ');
  comment.name = head.substr(0, space);
  if (comment.name.empty()) return std::nullopt;
  if (space == std::string_view::npos) return comment;
  auto others = head.substr(space);
  if (!take(others, " +") || !take_number(others, comment.others) || !others.empty()) return std::nullopt;
  return comment;
}

std::string to_comment(const WorkloadTag& tag) {
  std::array<char, 17> hash{};
  std::snprintf(hash.data(), hash.size(), "%016llx", static_cast<unsigned long long>(tag.image_hash));
  std::string text(tag.is_template ? kTemplate : kWorkload);
  text += std::to_string(tag.workload_id) + "." + std::to_string(tag.generation);
  text.append(kPolicy).append(hash.data()).append(" ");
  std::string path = escaped(tag.cgroup);
  const auto room = kMaxComment - text.size();
  if (path.size() > room) {
    auto end = room - kCut.size();
    while (path[end - 1] == '%' || path[end - 2] == '%') --end;  // not within %XX
    path = path.substr(0, end).append(kCut);
  }
  return text + path;
}

std::optional<WorkloadTag> parse_workload_tag(std::string_view text) {
  WorkloadTag tag;
  tag.is_template = take(text, kTemplate);
  if (!tag.is_template && !take(text, kWorkload)) return std::nullopt;
  if (!take_number(text, tag.workload_id) || !take(text, ".") || !take_number(text, tag.generation)) {
    return std::nullopt;
  }
  if (!take(text, kPolicy) || !take_number(text, tag.image_hash, 16) || !take(text, " ")) return std::nullopt;
  auto path = unescaped(text);
  if (!path) return std::nullopt;
  tag.cgroup = std::move(*path);
  return tag;
}

}  // namespace namewall::nft
