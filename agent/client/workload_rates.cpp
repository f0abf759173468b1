#include "agent/client/workload_rates.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "agent/client/phrase.h"
#include "agent/client/table.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

double rate_of(std::uint64_t before, std::uint64_t now, double seconds) {
  const std::uint64_t grown = now >= before ? now - before : now;
  return seconds > 0 ? static_cast<double>(grown) / seconds : 0;
}

std::string rate_phrase(double rate) {
  if (rate >= 10'000) return phrase_amount(static_cast<std::uint64_t>(rate));
  char text[32];
  std::snprintf(text, sizeof text, rate < 100 ? "%.1f" : "%.0f", rate);
  return text;
}

}  // namespace

std::vector<WorkloadRate> build_rates(const std::vector<WorkloadView>& before, const std::vector<WorkloadView>& now,
                                      double seconds) {
  std::map<std::pair<std::string, std::uint32_t>, const WorkloadView*> known;
  for (const WorkloadView& workload : before) known[{workload.name, workload.workload_id}] = &workload;
  std::vector<WorkloadRate> rates;
  for (const WorkloadView& workload : now) {
    const auto found = known.find({workload.name, workload.workload_id});
    const WorkloadView* const old = found == known.end() ? nullptr : found->second;
    rates.push_back({workload.name, workload.state, rate_of(old ? old->lookups : 0, workload.lookups, seconds),
                     rate_of(old ? old->refusals : 0, workload.refusals, seconds), workload.lookups, workload.refusals,
                     workload.grants, workload.last_refusal});
  }
  std::stable_sort(rates.begin(), rates.end(), [](const WorkloadRate& a, const WorkloadRate& b) {
    return a.lookups_per_s + a.refusals_per_s > b.lookups_per_s + b.refusals_per_s;
  });
  return rates;
}

std::string rates_text(const std::vector<WorkloadRate>& rates, std::size_t max_rows, const Screen& screen) {
  Table table({{"WORKLOAD", false, 0, 16},
               {"STATE", false, 2, 9},
               {"LOOKUPS/S", true, 0, 9},
               {"REFUSED/S", true, 0, 9},
               {"GRANTS", true, 3, 6},
               {"LAST REFUSAL", false, 1, 12}});
  std::size_t rows = 0;
  for (const WorkloadRate& rate : rates) {
    if (max_rows != 0 && rows++ == max_rows) break;
    table.add({escape_for_display(rate.workload), escape_for_display(rate.state), rate_phrase(rate.lookups_per_s),
               rate_phrase(rate.refusals_per_s), std::to_string(rate.grants), escape_for_display(rate.last_refusal)});
  }
  return table.to_string(screen.width);
}

std::string rates_json(const std::vector<WorkloadRate>& rates) {
  nlohmann::json json = nlohmann::json::array();
  for (const WorkloadRate& rate : rates) {
    json.push_back({{"workload", rate.workload},
                    {"state", rate.state},
                    {"lookups_per_s", rate.lookups_per_s},
                    {"refusals_per_s", rate.refusals_per_s},
                    {"lookups", rate.lookups},
                    {"refusals", rate.refusals},
                    {"grants", rate.grants},
                    {"last_refusal", rate.last_refusal}});
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace namewall::agent
