#include "policy/spin_list.h"

#include <algorithm>

#include "policy/escape.h"

namespace namewall {
namespace {

constexpr std::string_view kAllowAll = "insecure:allow-all";
constexpr std::size_t kMaxEntries = 100'000;  // wildcards of components spelled out

bool is_empty_by_variable(std::string_view text) { return text.empty() || text == "http://" || text == "https://"; }

bool is_any_of(std::string_view word, std::span<const std::string> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "api" of "http://api.spin.internal:80/x", "*" of "http://*.spin.internal".
std::optional<std::string_view> chained_component(std::string_view entry) {
  const std::size_t separator = entry.find("://");
  if (separator == std::string_view::npos) return std::nullopt;
  std::string_view host = entry.substr(separator + 3);
  host = host.substr(0, host.find_first_of("/?#:"));
  const std::size_t dot = host.find('.');
  if (dot == std::string_view::npos || host.substr(dot + 1) != kSpinInternal) return std::nullopt;
  return host.substr(0, dot);
}

}  // namespace

Result<SpinListEntry> read_spin_list_entry(std::string_view text, const SpinVariables& variables) {
  const Result<bool> is_template = is_spin_template(text);
  if (!is_template) return tl::unexpected(is_template.error());
  Result<std::string> filled = fill_spin_template(text, variables);
  if (!filled) return tl::unexpected(filled.error());
  if (*is_template && is_empty_by_variable(*filled)) return SpinListEntry{*std::move(filled), true, std::nullopt};
  Result<SpinEntry> entry = SpinEntry::parse(*filled);
  if (!entry) return tl::unexpected(entry.error());
  return SpinListEntry{*std::move(filled), *is_template, *std::move(entry)};
}

std::vector<SpinEntry> spell_out_chaining(const SpinEntry& entry, std::span<const std::string> components) {
  const auto* below = std::get_if<SpinSubdomains>(&entry.host);
  if (below == nullptr || below->of != kSpinInternal) return {entry};
  std::vector<SpinEntry> entries;
  for (const std::string& component : components) {
    const Result<SpinHost> host = parse_spin_host(component + "." + std::string(kSpinInternal));
    if (host) entries.push_back({entry.scheme, *host, entry.ports});
  }
  return entries;
}

Result<SpinList> SpinList::read(std::span<const std::string> texts, const SpinVariables& variables,
                                const std::optional<std::vector<std::string>>& components) {
  if (texts.size() == 1 && texts.front() == kAllowAll) {
    return fail(ErrorKind::kInvalid, "`insecure:allow-all` is no more in Spin: `*://*:*` is every host");
  }
  SpinList list;
  for (const std::string& text : texts) {
    Result<SpinListEntry> entry = read_spin_list_entry(text, variables);
    if (!entry) {
      const bool is_variable = entry.error().kind == ErrorKind::kNotFound;
      return fail(entry.error().kind, quote_for_display(text) + ": " +
                                          (is_variable ? "no value of the variable " : "") + entry.error().what);
    }
    if (!entry->parsed) continue;
    if (!components) {
      list.entries_.push_back(*std::move(entry->parsed));
      continue;
    }
    for (SpinEntry& one : spell_out_chaining(*entry->parsed, *components)) list.entries_.push_back(std::move(one));
    if (list.entries_.size() > kMaxEntries) {
      return fail(ErrorKind::kLimit, "the list has more than " + std::to_string(kMaxEntries) +
                                         " entries, those for each component of `*.spin.internal` counted");
    }
  }
  return list;
}

bool SpinList::allows(std::string_view target, std::string_view default_scheme) const {
  const std::optional<SpinUrl> url = parse_spin_target(target, default_scheme);
  return url &&
         std::any_of(entries_.begin(), entries_.end(), [&](const SpinEntry& entry) { return entry.allows(*url); });
}

bool SpinList::allows_self() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const SpinEntry& entry) { return entry.allows_self(); });
}

std::optional<std::string> SpinList::find_lost_chaining(std::span<const std::string> texts,
                                                        std::span<const std::string> started) {
  for (const std::string& text : texts) {
    const std::optional<std::string_view> component = chained_component(text);
    const Result<bool> is_template = is_spin_template(text);
    if (!is_template || *is_template || !component || is_any_of(*component, started)) continue;
    return quote_for_display(text) + (*component == "*" ? " leads to every component, of which some are not started"
                                                        : " leads to a component that is not started");
  }
  return std::nullopt;
}

SpinSocketVerdict judge_spin_socket(const SpinList& list, const SpinNetworks& blocked, const SpinSocketUse& use) {
  const bool is_own_side = use.operation != SpinSocketUse::Operation::kConnect;
  if (use.is_tcp && is_own_side) return SpinSocketVerdict::kNotInList;
  const std::string_view scheme = use.is_tcp ? "tcp" : "udp";
  const std::optional<SpinUrl> url = parse_spin_target(use.target, scheme);
  const auto* address = url && url->host ? std::get_if<SpinAddress>(&*url->host) : nullptr;
  if (address == nullptr || !list.allows(use.target, scheme)) return SpinSocketVerdict::kNotInList;
  return blocked.blocks(*address) ? SpinSocketVerdict::kBlocked : SpinSocketVerdict::kAllowed;
}

}  // namespace namewall
