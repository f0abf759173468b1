#include "agent/client/workload_text.h"

#include <string_view>

#include "agent/client/phrase.h"
#include "agent/client/sections.h"
#include "agent/client/table.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

std::string policy_phrase(const WorkloadView& workload) {
  constexpr std::size_t kDigits = 12;  // enough to tell versions apart
  std::string text =
      escape_for_display(workload.policy) + ", " + escape_for_display(workload.mode) + ", from " + origin_of(workload);
  if (!workload.policy_sha256.empty())
    text += ", sha256 " + escape_for_display(workload.policy_sha256.substr(0, kDigits));
  return text + ", generation " + std::to_string(workload.generation);
}

std::string armed_phrase(const WorkloadView& workload) {
  std::string text = escape_for_display(workload.armed_at);
  if (workload.unarmed_ms > 0) text += ", " + phrase_ms(workload.unarmed_ms) + " after the cgroup appeared";
  if (workload.unarmed_ms == 0) text += ", before its first instruction";
  return text;
}

std::string proof_phrase(const WorkloadView& workload) {
  std::string text = workload.proved_ago_s < 0 ? "not yet" : phrase_seconds(workload.proved_ago_s) + " ago";
  if (!workload.proof.empty()) text += "; last try: " + escape_for_display(workload.proof);
  return text;
}

std::string dns_phrase(const WorkloadView& workload) {
  if (workload.dns != "proxy") return "the kernel learns from UDP answers; TCP goes by the proxy";
  return "by the proxy" + (workload.dns_why.empty() ? "" : ": " + escape_for_display(workload.dns_why));
}

std::string facts_text(const WorkloadView& workload, const Screen& screen) {
  std::string out = escape_for_display(workload.name) + "  " +
                    paint(screen, tone_of_state(workload.state), escape_for_display(workload.state)) + "\n";
  out += fact_line("cgroup", escape_for_display(workload.cgroup) + " (id " + std::to_string(workload.cgroup_id) + ")",
                   screen);
  out += fact_line("policy", policy_phrase(workload), screen);
  out += fact_line("armed", armed_phrase(workload), screen);
  out += fact_line("proved", proof_phrase(workload), screen);
  if (!workload.backend.empty()) out += fact_line("held by", workload.backend, screen);
  if (!workload.dns.empty()) out += fact_line("DNS", dns_phrase(workload), screen);
  if (workload.ttl_left_s >= 0) out += fact_line("ends", "in " + phrase_seconds(workload.ttl_left_s), screen);
  std::vector<std::string> labels;
  for (const auto& [key, value] : workload.labels)
    labels.push_back(escape_for_display(key) + "=" + escape_for_display(value));
  if (!labels.empty()) out += fact_line("labels", phrase_list(labels), screen);
  out += fact_line("lookups", phrase_amount(workload.lookups), screen);
  std::string refusals = phrase_amount(workload.refusals);
  if (!workload.last_refusal.empty()) {
    refusals += "; the last: " + escape_for_display(workload.last_refusal);
    if (!workload.last_refusal_at.empty()) refusals += " at " + escape_for_display(workload.last_refusal_at);
  }
  return out + fact_line("refusals", refusals, screen);
}

std::string section(std::string_view title, const std::string& body) {
  return body.empty() ? std::string() : "\n" + std::string(title) + "\n" + body;
}

std::string resolvers_table(const WorkloadDetail& detail, const Screen& screen) {
  Table table({{"  RESOLVER", false, 0, 12}, {"FROM", false, 0, 12}});
  for (const ResolverView& resolver : detail.resolvers) {
    table.add({"  " + escape_for_display(resolver.address), escape_for_display(resolver.source)});
  }
  return table.is_empty() ? std::string() : table.to_string(screen.width);
}

std::string left_phrase(const GrantView& grant) {
  if (grant.state != "live" && grant.state != "expired") return escape_for_display(grant.state);
  return grant.seconds_left >= 0 ? phrase_seconds(grant.seconds_left) : phrase_seconds(-grant.seconds_left) + " ago";
}

std::string grants_table(const WorkloadDetail& detail, const Screen& screen) {
  Table table({{"  NAME", false, 0, 14},
               {"ADDRESS", false, 0, 15},
               {"PORTS", false, 1, 7},
               {"LEFT", true, 0, 5},
               {"CONNECTS", true, 3, 4},
               {"ALSO THERE", false, 2, 10}});
  for (const GrantView& grant : detail.grants) {
    std::vector<std::string> others;
    for (const std::string& name : grant.shared_with) others.push_back(escape_for_display(name));
    table.add({"  " + escape_for_display(grant.name), escape_for_display(grant.address),
               escape_for_display(grant.ports), left_phrase(grant), phrase_amount(grant.connects),
               phrase_list(others)});
  }
  return table.is_empty() ? std::string() : table.to_string(screen.width);
}

std::string counts_table(const char* title, const std::map<std::string, std::uint64_t>& counts, const Screen& screen) {
  Table table({{title, false, 0, 20}, {"COUNT", true, 0, 5}});
  for (const auto& [name, count] : counts) {
    if (count != 0) table.add({"  " + escape_for_display(name), std::to_string(count)});
  }
  return table.is_empty() ? std::string() : table.to_string(screen.width);
}

}  // namespace

std::string workload_text(const WorkloadDetail& detail, const Screen& screen) {
  const WorkloadView& workload = detail.workload;
  std::string out = facts_text(workload, screen);
  out += sentence_list("\nWhy it is " + escape_for_display(workload.state) + ":", workload.why, screen);
  const std::string rules = rules_table(detail.rules, screen);
  out += section("Rules:", rules.empty() ? "  none: nothing is allowed\n" : rules);
  out += section("Resolvers:", resolvers_table(detail, screen));
  out += section("Grants (" + std::to_string(workload.grants) + " live of at most " +
                     std::to_string(workload.max_addresses) + " addresses):",
                 grants_table(detail, screen));
  out += section("Refusals:", counts_table("  REASON", detail.refusals_by_reason, screen));
  out += section("DNS proxy:", counts_table("  COUNT", detail.proxy, screen));
  out += section("Counters:", counts_table("  COUNTER", detail.counters, screen));
  return out + sentence_list("\nFlows that no rule or lookup accounts for:", detail.unattributed_flows, screen);
}

}  // namespace namewall::agent
