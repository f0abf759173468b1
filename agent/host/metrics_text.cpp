#include "agent/host/metrics_text.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "agent/host/proxy_counts.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

double seconds(std::chrono::nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

std::string text_of(std::uint64_t value) { return std::to_string(value); }

std::string text_of(double value) {
  char digits[400];  // the longest double in this notation has 1 + 308 before the point
  const auto end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed).ptr;
  return {digits, end};
}

std::string label_value(std::string_view text) {
  std::string value;
  for (const char c : escape_for_display(text)) {
    if (c == '\\' || c == '"') value += '\\';
    value += c;
  }
  return value;
}

// The samples of one metric follow its head at once: the format wants them together.
class Exposition {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  void begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " + std::string(type) + "\n";
  }
  template <typename Value>
  void add(Labels labels, Value value, std::string_view suffix = "") {
    text_ += name_;
    text_ += suffix;
    char before = '{';
    for (const auto& [label, text] : labels) {
      text_ += before;
      text_ += std::string(label) + "=\"" + label_value(text) + "\"";
      before = ',';
    }
    if (before == ',') text_ += '}';
    text_ += " " + text_of(value) + "\n";
  }
  template <typename Value>
  void add_one(std::string_view name, std::string_view type, std::string_view help, Value value) {
    begin(name, type, help);
    add({}, value);
  }
  void add_histogram(std::string_view name, std::string_view help, const Histogram& histogram) {
    begin(name, "histogram", help);
    for (std::size_t index = 0; index < Histogram::kBounds.size(); ++index)
      add({{"le", text_of(seconds(Histogram::kBounds[index]))}}, histogram.at_most(index), "_bucket");
    add({{"le", "+Inf"}}, histogram.count(), "_bucket");
    add({}, seconds(histogram.sum()), "_sum");
    add({}, histogram.count(), "_count");
  }
  std::string take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

using Policies = std::map<std::string, PolicyMetrics>;

void merge(std::map<std::string, std::uint64_t>& into, const std::map<std::string, std::uint64_t>& from) {
  for (const auto& [key, count] : from) into[key] += count;
}

void merge(PolicyMetrics& into, const PolicyMetrics& from) {
  into.counters.lookups_allowed += from.counters.lookups_allowed;
  into.counters.lookups_refused += from.counters.lookups_refused;
  into.counters.answers_withheld += from.counters.answers_withheld;
  into.counters.allowed_by_audit += from.counters.allowed_by_audit;
  into.counters.events += from.counters.events;
  into.counters.events_left_out += from.counters.events_left_out;
  into.counters.events_lost += from.counters.events_lost;
  into.counters.helper_failures += from.counters.helper_failures;
  merge(into.counters.refusals, from.counters.refusals);
  merge(into.counters.bounds_reached, from.counters.bounds_reached);
  into.grants_live += from.grants_live;
  merge(into.workloads, from.workloads);
  if (from.oldest_proof_s) into.oldest_proof_s = std::max(into.oldest_proof_s.value_or(0), *from.oldest_proof_s);
  into.info.reset();
}

Policies fold_policies(const Policies& policies) {
  Policies folded;
  for (const auto& [label, metrics] : policies) {
    const bool has_room = label == CounterTotals::kOther || folded.size() < CounterTotals::kMaxPolicies;
    if (has_room && !folded.contains(label)) {
      folded.emplace(label, metrics);
    } else {
      merge(folded[CounterTotals::kOther], metrics);
    }
  }
  return folded;
}

void add_counter(Exposition& out, const Policies& policies, std::string_view name, std::string_view help,
                 std::uint64_t CounterSums::*counter) {
  out.begin(name, "counter", help);
  for (const auto& [label, metrics] : policies) out.add({{"policy", label}}, metrics.counters.*counter);
}

void add_counters(Exposition& out, const Policies& policies, std::string_view name, std::string_view help,
                  std::string_view key, std::map<std::string, std::uint64_t> CounterSums::*counters) {
  out.begin(name, "counter", help);
  for (const auto& [label, metrics] : policies) {
    for (const auto& [code, count] : metrics.counters.*counters) out.add({{"policy", label}, {key, code}}, count);
  }
}

void add_policy_counters(Exposition& out, const Policies& policies) {
  out.begin("namewall_lookups_total", "counter", "DNS questions that passed or were refused, and answers withheld.");
  for (const auto& [label, metrics] : policies) {
    out.add({{"policy", label}, {"result", "allowed"}}, metrics.counters.lookups_allowed);
    out.add({{"policy", label}, {"result", "refused"}}, metrics.counters.lookups_refused);
    out.add({{"policy", label}, {"result", "withheld"}}, metrics.counters.answers_withheld);
  }
  add_counters(out, policies, "namewall_refusals_total", "What was refused, withheld or not learned, by reason code.",
               "reason", &CounterSums::refusals);
  add_counter(out, policies, "namewall_allowed_by_audit_total", "Refusals that audit mode let pass.",
              &CounterSums::allowed_by_audit);
  add_counters(out, policies, "namewall_bounds_reached_total", "How often a workload met one of its bounds.", "bound",
               &CounterSums::bounds_reached);
  add_counter(out, policies, "namewall_events_total", "Events that the kernel handed over.", &CounterSums::events);
  add_counter(out, policies, "namewall_events_left_out_total", "Events left out by their workload's rate.",
              &CounterSums::events_left_out);
  add_counter(out, policies, "namewall_events_lost_total", "Events lost because the ring was full.",
              &CounterSums::events_lost);
  add_counter(out, policies, "namewall_kernel_helper_failures_total", "BPF helpers that failed where none should.",
              &CounterSums::helper_failures);
}

void add_policy_states(Exposition& out, const Policies& policies) {
  out.begin("namewall_grants_live", "gauge", "Addresses that workloads may reach because of a name.");
  for (const auto& [label, metrics] : policies) out.add({{"policy", label}}, metrics.grants_live);
  out.begin("namewall_workloads", "gauge", "Workloads by state: enforcing, audit, judging, partial, failed; restricted: by themselves.");
  for (const auto& [label, metrics] : policies) {
    for (const auto& [state, count] : metrics.workloads) out.add({{"policy", label}, {"state", state}}, count);
  }
  out.begin("namewall_policy_info", "gauge", "Always 1; the policy in force.");
  for (const auto& [label, metrics] : policies) {
    if (!metrics.info) continue;
    out.add({{"policy", label},
             {"sha256", metrics.info->sha256},
             {"file", metrics.info->file},
             {"generation", text_of(metrics.info->generation)}},
            std::uint64_t{1});
  }
  out.begin("namewall_policy_age_seconds", "gauge", "Since the policy in force was loaded.");
  for (const auto& [label, metrics] : policies) {
    if (metrics.info) out.add({{"policy", label}}, metrics.info->age_s);
  }
  out.begin("namewall_proof_age_seconds", "gauge", "Since the last live proof that passed, of the oldest workload.");
  for (const auto& [label, metrics] : policies) {
    if (metrics.oldest_proof_s) out.add({{"policy", label}}, *metrics.oldest_proof_s);
  }
}

void add_broken_files(Exposition& out, const std::vector<std::string>& files) {
  out.begin("namewall_policy_error", "gauge", "1 for each policy file whose newest version is not in force.");
  const auto shown = std::min(files.size(), kMaxBrokenFiles);
  for (std::size_t index = 0; index < shown; ++index) out.add({{"file", files[index]}}, std::uint64_t{1});
  if (files.size() > shown) out.add({{"file", CounterTotals::kOther}}, std::uint64_t{files.size() - shown});
}

void add_proxy(Exposition& out, const MetricsInput& input) {
  out.begin("namewall_proxy_total", "counter", "What the DNS proxy did with questions and answers, by count.");
  for (const auto& [count, value] : input.proxy) {
    if (!is_gauge_of_proxy(count)) out.add({{"count", count}}, value);
  }
  const auto now = [&](const char* count) {
    const auto found = input.proxy.find(count);
    return found == input.proxy.end() ? std::uint64_t{0} : found->second;
  };
  out.add_one("namewall_proxy_cached_bytes", "gauge", "What the DNS proxy's cache holds.", now("cached_bytes"));
  out.add_one("namewall_proxy_waiting", "gauge", "Questions of workloads without an answer yet.", now("waiting"));
  out.add_one("namewall_proxy_in_flight", "gauge", "Questions to resolvers without an answer yet.", now("in_flight"));
  out.add_one("namewall_proxy_namespaces", "gauge", "Network namespaces in which the DNS proxy listens.",
              input.proxy_namespaces);
}

void add_daemon(Exposition& out, const MetricsInput& input) {
  out.add_histogram("namewall_kernel_update_seconds", "Arming or replacing one policy in the kernel.",
                    input.kernel_update);
  out.add_histogram("namewall_loop_stall_seconds", "Turns of the daemon's loop, without its waiting.",
                    input.loop_stall);
  out.add_histogram("namewall_unarmed_seconds", "From a cgroup's appearance to its arming, of watched globs.",
                    input.unarmed);
  out.begin("namewall_reloads_total", "counter", "Reloads by result.");
  out.add({{"result", "ok"}}, input.reloads_ok);
  out.add({{"result", "failed"}}, input.reloads_failed);
  out.add_one("namewall_proof_failures_total", "counter", "Live proofs that failed.", input.proof_failures);
  out.add_one("namewall_damage_total", "counter", "Changes from outside to what the kernel holds.", input.damage_found);
  out.add_one("namewall_damage_repaired_total", "counter", "Of them, those that were repaired.", input.damage_repaired);
  out.add_one("namewall_adopted_grants", "gauge", "Grants found in the kernel when the daemon started.",
              input.adopted_grants);
  out.add_one("namewall_adoption_gap_seconds", "gauge", "How long nobody read events before the daemon started.",
              input.adoption_gap_s);
  out.begin("namewall_write_failures_total", "counter", "Failed writes of the daemon's own files, by file.");
  for (const auto& [file, count] : input.write_failures) out.add({{"file", file}}, count);
  out.begin("namewall_build_info", "gauge", "Always 1; the daemon that runs.");
  out.add({{"version", input.version}, {"revision", input.revision}}, std::uint64_t{1});
  out.add_one("process_start_time_seconds", "gauge", "Start of the daemon since the epoch.", input.started_at_unix_s);
}

}  // namespace

std::string metrics_text(const MetricsInput& input) {
  Exposition out;
  const Policies policies = fold_policies(input.policies);
  add_policy_counters(out, policies);
  add_policy_states(out, policies);
  add_broken_files(out, input.broken_files);
  add_proxy(out, input);
  add_daemon(out, input);
  return out.take();
}

}  // namespace namewall::agent
