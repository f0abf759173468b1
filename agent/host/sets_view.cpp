#include "agent/host/sets_view.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace namewall::agent {
namespace {

// Reads one array of a grant, as append_line writes it: names and addresses have no character that JSON escapes.
class GrantReader {
 public:
  explicit GrantReader(std::string_view line) : at_(line.data()), end_(line.data() + line.size()) {}

  bool take(char wanted) {
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }
  bool take_string(std::string_view& text) {
    if (!take('"')) return false;
    const char* const begin = at_;
    while (at_ != end_ && *at_ != '"' && *at_ != '\\') ++at_;
    text = {begin, static_cast<std::size_t>(at_ - begin)};
    return take('"');
  }
  template <typename Number>
  bool take_number(Number& number) {
    const auto [end, error] = std::from_chars(at_, end_, number);
    at_ = end;
    return error == std::errc();
  }
  bool is_at_end() const { return at_ == end_; }

 private:
  const char* at_;
  const char* end_;
};

std::optional<SetsGrant> parse_grant(std::string_view line) {
  GrantReader reader(line);
  SetsGrant grant;
  std::string_view name, address;
  const bool is_whole =
      reader.take('[') && reader.take_string(name) && reader.take(',') && reader.take_string(address) &&
      reader.take(',') && reader.take_number(grant.ports) && reader.take(',') && reader.take_number(grant.rule) &&
      reader.take(',') && reader.take_number(grant.left_ms) && reader.take(',') &&
      reader.take_number(grant.learned_ms_ago) && reader.take(',') && reader.take_number(grant.renewed_ms_ago) &&
      reader.take(',') && reader.take_number(grant.hits) && reader.take(']') && reader.is_at_end();
  const auto parsed = is_whole ? parse_address(address) : std::nullopt;
  if (!parsed) return std::nullopt;
  grant.name = name;
  grant.address = *parsed;
  return grant;
}

std::optional<SetsLine> parse_object(std::string_view line) {
  try {
    const nlohmann::json json = nlohmann::json::parse(line);
    if (json.contains("changed")) return SetsHost{json.at("changed").get<std::vector<std::string>>()};
    SetsWorkload view;
    view.workload = json.at("workload").get<std::string>();
    view.cgroup = json.value("cgroup", "");
    view.cgroup_id = json.at("cgroup_id").get<std::uint64_t>();
    view.backend = json.value("backend", "");
    view.mode = json.value("mode", "");
    view.as_of_ns = json.at("as_of_ns").get<std::int64_t>();
    view.rules = json.at("rules").get<std::vector<std::string>>();
    view.ports = json.at("ports").get<std::vector<std::vector<std::string>>>();
    view.is_unreadable = json.value("unreadable", false);
    return view;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

template <typename Number>
void append_number(Number number, std::string& out) {
  char text[24];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), number);
  out.append(text, end);
}

}  // namespace

std::string to_line(const SetsHost& host) {
  return nlohmann::json{{"changed", host.changed}}.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string to_line(const SetsWorkload& view) {
  const nlohmann::json json = {
      {"workload", view.workload}, {"cgroup", view.cgroup}, {"cgroup_id", view.cgroup_id},
      {"backend", view.backend},   {"mode", view.mode},     {"as_of_ns", view.as_of_ns},
      {"rules", view.rules},       {"ports", view.ports},   {"unreadable", view.is_unreadable}};
  return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

void append_line(const SetsGrant& grant, std::string& out) {
  out += "[\"";
  out += grant.name;
  out += "\",\"";
  out += grant.address.to_string();
  out += "\",";
  append_number(grant.ports, out);
  out += ',';
  append_number(grant.rule, out);
  for (const std::int64_t number : {grant.left_ms, grant.learned_ms_ago, grant.renewed_ms_ago, grant.hits}) {
    out += ',';
    append_number(number, out);
  }
  out += "]\n";
}

std::optional<SetsLine> parse_sets_line(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.starts_with('[')) {
    auto grant = parse_grant(line);
    return grant ? std::optional<SetsLine>(*std::move(grant)) : std::nullopt;
  }
  return parse_object(line);
}

}  // namespace namewall::agent
