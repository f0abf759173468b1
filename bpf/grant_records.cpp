#include "bpf/grant_records.h"

#include <iterator>

#include "bpf/rule_entries.h"

namespace namewall::bpf {
namespace {

std::uint32_t generation_of(std::uint64_t word) { return static_cast<std::uint32_t>(word >> NW_MASK_BITS); }

}  // namespace

Result<std::vector<GrantRecord>> read_grant_records(const WorkloadTables& tables, const nw_workload& workload,
                                                    const PolicyImage* image) {
  const auto learned = tables.read();
  if (!learned) return tl::unexpected(learned.error());
  std::vector<GrantRecord> records;
  for (const auto& [slot, name] : *learned) {
    if (slot.owner != workload.workload_id) continue;
    GrantRecord record{.grant = {.name = DomainName::from_normal(name_of(name.window, name.length)),
                                 .address = to_address(slot.address),
                                 .deadline = BootTime{Nanoseconds(slot.deadline)},
                                 .note = static_cast<Reason>(NW_USE_NOTE(slot.use))},
                       .hits = slot.use & NW_USE_HITS,
                       .is_private = (slot.use & NW_USE_PRIVATE) != 0};
    std::uint64_t word = slot.ports;
    if (generation_of(word) != workload.generation) word = record.is_private ? name.private_ports : name.ports;
    if (generation_of(word) == workload.generation) {
      record.current_ports = word & kAllPorts;
    } else if (name.length != 0 && image != nullptr) {
      const NameDecision decision = decide_name(*image, record.grant.name);
      record.current_ports = (record.is_private ? decision.allow_private : decision.allow) & kAllPorts;
    }
    if (record.grant.note != NW_REASON_NONE) record.current_ports = 0;
    record.grant.ports = record.current_ports;
    records.push_back(std::move(record));
  }
  return records;
}

Counters to_counters(const nw_stats& stats) {
  Counters counters;
  counters.by_reason.assign(std::begin(stats.reasons), std::begin(stats.reasons) + NW_REASON_COUNT);
#define NW_COUNTER_NAME(symbol, code) counters.counters.emplace_back(code, stats.counters[NW_COUNTER_##symbol]);
  NW_COUNTERS(NW_COUNTER_NAME)
#undef NW_COUNTER_NAME
  return counters;
}

}  // namespace namewall::bpf
