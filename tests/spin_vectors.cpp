#include "tests/spin_vectors.h"

#include <optional>
#include <string_view>

#include "policy/spin_list.h"

namespace namewall {
namespace {

using nlohmann::json;

using Answer = Result<std::string>;  // what this build says, as `kind` has it

tl::unexpected<Error> unreadable(const std::string& what, const json& entry) {
  return fail(ErrorKind::kInvalid, what + ": " + entry.dump());
}

Result<std::string> string_of(const json& entry, const char* key) {
  if (!entry.contains(key) || !entry[key].is_string()) return unreadable(std::string("no string `") + key + "`", entry);
  return entry[key].get<std::string>();
}

Result<std::vector<std::string>> strings_of(const json& entry, const char* key) {
  std::vector<std::string> strings;
  if (!entry.contains(key)) return strings;
  if (!entry[key].is_array()) return unreadable(std::string("no list `") + key + "`", entry);
  for (const json& item : entry[key]) {
    if (!item.is_string()) return unreadable(std::string("no list of strings `") + key + "`", entry);
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

Result<SpinVariables> variables_of(const json& entry) {
  SpinVariables variables;
  if (!entry.contains("variables")) return variables;
  if (!entry["variables"].is_object()) return unreadable("`variables` is no object", entry);
  for (const auto& [name, value] : entry["variables"].items()) {
    if (!value.is_string()) return unreadable("a variable is no string", entry);
    variables[name] = value.get<std::string>();
  }
  return variables;
}

std::string to_text(const SpinEntry& entry) {
  std::string text = entry.scheme + " ";
  if (std::holds_alternative<SpinAnyHost>(entry.host)) text += "any";
  if (std::holds_alternative<SpinSelf>(entry.host)) text += "self";
  if (const auto* below = std::get_if<SpinSubdomains>(&entry.host)) text += "subdomains_of " + below->of;
  if (const auto* network = std::get_if<SpinNetwork>(&entry.host)) text += "cidr " + network->to_string();
  if (const auto* host = std::get_if<SpinHost>(&entry.host)) {
    text += (std::holds_alternative<SpinAddress>(*host) ? "ip " : "domain ") + to_string(*host);
  }
  if (entry.ports.any) return text + " any";
  if (!entry.ports.is_range) return text + " exact " + std::to_string(entry.ports.first);
  return text + " range " + std::to_string(entry.ports.first) + " " + std::to_string(entry.ports.end);
}

// Addresses are compared as such: their text has more than one form.
std::string normal_value(const std::string& type, const std::string& value) {
  if (type == "ip") {
    const auto address = parse_spin_address(value);
    return address ? address->to_string() : value;
  }
  const auto network = type == "cidr" ? SpinNetwork::parse(value) : std::nullopt;
  return network ? network->to_string() : value;
}

// The same text from an entry's `expect`; nullopt where it says nothing of what is parsed.
Result<std::optional<std::string>> expected_text(const json& entry) {
  if (!entry.contains("expect")) return std::optional<std::string>();
  const json& expect = entry["expect"];
  if (!expect.contains("scheme") || !expect.contains("host") || !expect.contains("port")) {
    return std::optional<std::string>();
  }
  const json& host = expect["host"];
  const json& port = expect["port"];
  const auto scheme = string_of(expect, "scheme");
  const auto host_type = string_of(host, "type");
  const auto port_type = string_of(port, "type");
  if (!scheme || !host_type || !port_type) return unreadable("an expectation that cannot be read", entry);
  std::string text = *scheme + " " + *host_type;
  if (host.contains("value")) text += " " + normal_value(*host_type, host["value"].get<std::string>());
  text += " " + *port_type;
  for (const char* key : {"value", "from", "to_exclusive"}) {
    if (port.contains(key)) text += " " + port[key].dump();
  }
  return std::optional(text);
}

Answer answer_parse(const json& entry) {
  const auto texts = strings_of(entry, "allowed");
  if (!texts) return tl::unexpected(texts.error());
  if (texts->size() != 1) return unreadable("not one entry in `allowed`", entry);
  const Result<SpinEntry> parsed = SpinEntry::parse(texts->front());
  if (!parsed) return std::string("parse_error");
  const auto expected = expected_text(entry);
  if (!expected) return tl::unexpected(expected.error());
  const std::string text = to_text(*parsed);
  return *expected && **expected != text ? "parse_ok as " + text : "parse_ok";
}

Result<Result<SpinList>> list_of(const json& entry) {
  const auto texts = strings_of(entry, "allowed");
  const auto variables = variables_of(entry);
  const auto components = strings_of(entry, "components");
  if (!texts) return tl::unexpected(texts.error());
  if (!variables) return tl::unexpected(variables.error());
  if (!components) return tl::unexpected(components.error());
  return SpinList::read(*texts, *variables, entry.contains("components") ? std::optional(*components) : std::nullopt);
}

Answer answer_list(const json& entry) {
  const auto list = list_of(entry);
  if (!list) return tl::unexpected(list.error());
  if (!entry.contains("started")) return std::string(*list ? "list_ok" : "list_error");
  const auto texts = strings_of(entry, "allowed");
  const auto started = strings_of(entry, "started");
  if (!started) return tl::unexpected(started.error());
  return std::string(*list && !SpinList::find_lost_chaining(*texts, *started) ? "list_ok" : "list_error");
}

Answer answer_target(const json& entry) {
  const auto list = list_of(entry);
  const auto target = string_of(entry, "target");
  if (!list) return tl::unexpected(list.error());
  if (!target) return tl::unexpected(target.error());
  if (!*list) return std::string("denies");
  const auto scheme = entry.contains("default_scheme") ? string_of(entry, "default_scheme") : "https";
  if (!scheme) return tl::unexpected(scheme.error());
  const bool is_self = target->starts_with('/') && !target->starts_with("//");
  return std::string((is_self ? (*list)->allows_self() : (*list)->allows(*target, *scheme)) ? "allows" : "denies");
}

Result<SpinNetworks> networks_of(const json& entry) {
  const auto words = strings_of(entry, "block_networks");
  if (!words) return tl::unexpected(words.error());
  return SpinNetworks::read(*words);
}

Answer answer_address(const json& entry) {
  const auto text = string_of(entry, "ip");
  const auto blocked = networks_of(entry);
  if (!text) return tl::unexpected(text.error());
  if (!blocked) return tl::unexpected(blocked.error());
  const auto address = parse_spin_address(*text);
  if (!address) return unreadable("`ip` is no address", entry);
  return std::string(blocked->blocks(*address) ? "ip_blocked" : "ip_not_blocked");
}

Result<SpinSocketUse> use_of(const json& entry) {
  constexpr std::string_view kOperations[] = {"connect", "bind", "listen", "accept", "send", "receive"};
  const auto protocol = entry.contains("proto") ? string_of(entry, "proto") : "tcp";
  const auto operation = entry.contains("op") ? string_of(entry, "op") : "connect";
  const auto target = string_of(entry, "target");
  if (!protocol) return tl::unexpected(protocol.error());
  if (!operation) return tl::unexpected(operation.error());
  if (!target) return tl::unexpected(target.error());
  const auto* found = std::find(std::begin(kOperations), std::end(kOperations), *operation);
  if ((*protocol != "tcp" && *protocol != "udp") || found == std::end(kOperations)) {
    return unreadable("unknown protocol or operation", entry);
  }
  return SpinSocketUse{*protocol == "tcp", static_cast<SpinSocketUse::Operation>(found - std::begin(kOperations)),
                       *target};
}

// With `expect.reason`, which of the two lists refused it as well.
Answer answer_socket(const json& entry) {
  const auto list = list_of(entry);
  const auto blocked = networks_of(entry);
  const auto use = use_of(entry);
  if (!list) return tl::unexpected(list.error());
  if (!blocked) return tl::unexpected(blocked.error());
  if (!use) return tl::unexpected(use.error());
  if (!*list) return std::string("socket_denies");
  const SpinSocketVerdict verdict = judge_spin_socket(**list, *blocked, *use);
  if (verdict == SpinSocketVerdict::kAllowed) return std::string("socket_allows");
  const std::string reason = verdict == SpinSocketVerdict::kBlocked ? "block_networks" : "allowed_outbound_hosts";
  const bool has_reason = entry.contains("expect") && entry["expect"].contains("reason");
  return has_reason && entry["expect"]["reason"] != reason ? "socket_denies by " + reason : "socket_denies";
}

struct Kind {
  std::string_view name;
  Answer (*answer)(const json&);
};
constexpr Kind kKinds[] = {
    {"parse_ok", answer_parse},       {"parse_error", answer_parse},      {"list_ok", answer_list},
    {"list_error", answer_list},      {"allows", answer_target},          {"denies", answer_target},
    {"ip_blocked", answer_address},   {"ip_not_blocked", answer_address}, {"socket_allows", answer_socket},
    {"socket_denies", answer_socket},
};

bool is_superseded(const json& entry) {
  return entry.contains("origin") && entry["origin"].is_string() &&
         entry["origin"].get_ref<const std::string&>().find("superseded") != std::string::npos;
}

}  // namespace

bool are_spin_vectors(const json& file) {
  if (!file.is_object() || !file.contains("vectors") || !file["vectors"].is_array()) return false;
  const json& vectors = file["vectors"];
  return !vectors.empty() && vectors.front().is_object() && vectors.front().contains("kind");
}

Result<VectorOutcome> run_spin_vectors(const json& file) {
  VectorOutcome outcome;
  for (const json& entry : file["vectors"]) {
    if (!entry.is_object()) return unreadable("an entry is not an object", entry);
    const auto name = string_of(entry, "kind");
    if (!name) return tl::unexpected(name.error());
    const auto* kind =
        std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.name == *name; });
    if (kind == std::end(kKinds)) return unreadable("unknown kind", entry);
    const Answer answer = kind->answer(entry);
    if (!answer) return tl::unexpected(answer.error());
    const bool is_as_recorded = *answer == *name;
    if (!is_as_recorded && is_superseded(entry)) {
      outcome.notes.push_back("superseded, `main` says " + *answer + ": " + entry.dump());
    }
    outcome.record(is_as_recorded || is_superseded(entry),
                   "expected " + *name + ", got " + *answer + ": " + entry.dump());
  }
  return outcome;
}

}  // namespace namewall
