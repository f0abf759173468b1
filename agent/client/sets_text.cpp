#include "agent/client/sets_text.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/client/phrase.h"
#include "agent/client/sections.h"
#include "agent/client/table.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

double seconds(Nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

std::string port_text(const SetRow& row) {
  const std::string protocol = to_string(row.ports.protocol);
  if (row.ports.protocol == Protocol::kIcmp) return protocol;
  return protocol + "/" + (row.port_list.empty() ? std::to_string(row.ports.first.number) : row.port_list);
}

std::string left_text(Nanoseconds left) {
  return left == kForever ? "ever" : phrase_seconds(std::max(0.0, seconds(left)));
}

std::string ago_text(std::int64_t ms) { return ms < 0 ? "-" : phrase_seconds(static_cast<double>(ms) / 1000); }

// The time of the row: the earliest learning, the newest renewal, the sum of the hits.
struct Sums {
  std::int64_t learned = kUnknownTime, renewed = kUnknownTime, hits = -1;
};
Sums sums_of(const SetRow& row) {
  Sums sums;
  for (const NameRow& name : row.names) {
    sums.learned = std::max(sums.learned, name.learned_ms_ago);
    if (name.renewed_ms_ago >= 0)
      sums.renewed = sums.renewed < 0 ? name.renewed_ms_ago : std::min(sums.renewed, name.renewed_ms_ago);
    if (name.hits >= 0) sums.hits = std::max<std::int64_t>(sums.hits, 0) + name.hits;
  }
  return sums;
}

void join_texts(const SetRow& row, std::string& names, std::string& rules) {
  for (const NameRow& name : row.names) {
    if (!names.empty()) names += ", ";
    names += escape_for_display(name.name);
    const std::string rule = escape_for_display(name.rule);
    if (rule.empty() || rules.find(rule) != std::string::npos) continue;
    if (!rules.empty()) rules += ", ";
    rules += rule;
  }
  if (row.other_names != 0) names += " +" + std::to_string(row.other_names);
}

std::string drift_text(Drift drift) {
  switch (drift) {
    case Drift::kUnknown:
      return "not in the model";
    case Drift::kMissing:
      return "not in the kernel";
    default:
      return "";
  }
}

std::string rows_table(const SetsView& view, bool has_drift, std::size_t width) {
  const auto any = [&](auto wanted) { return std::any_of(view.rows.begin(), view.rows.end(), wanted); };
  const bool has_hits = any([](const SetRow& row) { return sums_of(row).hits >= 0; });
  std::vector<Column> columns{{"WORKLOAD", false, 1, 10}, {"ADDRESS", false, 0, 15}, {"PORTS", false, 2, 8},
                              {"LEFT", true, 0, 4},       {"NAME", false, 0, 16},    {"RULE", false, 3, 12}};
  if (view.has_model) columns.insert(columns.end(), {{"LEARNED", true, 5, 7}, {"RENEWED", true, 4, 7}});
  if (has_hits) columns.push_back({"HITS", true, 6, 4});
  if (has_drift) columns.push_back({"DRIFT", false, 0, 16});
  Table table(std::move(columns));
  std::vector<std::string> labels;
  for (const WorkloadRow& workload : view.workloads) labels.push_back(escape_for_display(workload.label()));
  for (const SetRow& row : view.rows) {
    std::string names, rules;
    join_texts(row, names, rules);
    const Sums sums = sums_of(row);
    std::vector<std::string> cells{labels[row.workload], row.address.to_string(), port_text(row),
                                   left_text(row.left),  std::move(names),        std::move(rules)};
    if (view.has_model) {
      cells.push_back(ago_text(sums.learned));
      cells.push_back(ago_text(sums.renewed));
    }
    if (has_hits) cells.push_back(sums.hits < 0 ? "-" : phrase_amount(static_cast<std::uint64_t>(sums.hits)));
    if (has_drift) cells.push_back(drift_text(row.drift));
    table.add(std::move(cells));
  }
  return table.to_string(width);
}

std::string table_sentence(const NftTable& table) {
  std::string text = "table inet " + escape_for_display(table.name) + ", ";
  text += table.is_owned ? "owned" : "not owned";
  if (table.is_persistent) text += " and persistent";
  if (table.is_dormant) text += ", dormant: nothing is enforced";
  std::vector<std::string> counts;
  for (const auto& [set, count] : table.counts) {
    if (count != 0) counts.push_back(escape_for_display(set) + " " + std::to_string(count));
  }
  return text + (counts.empty() ? "; empty" : "; " + phrase_list(counts));
}

// ---- JSON, put together by hand: a hundred thousand elements are to take milliseconds ----

void append_string(std::string_view text, std::string& out) {
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '"' && c != '\\';
  });
  if (is_plain) {
    out += '"';
    out += text;
    out += '"';
    return;
  }
  out += nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

void append_thousandths(std::int64_t ms, std::string& out) {  // of seconds
  if (ms < 0) {
    out += "-1";
    return;
  }
  char text[32];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), ms / 1000);
  out.append(text, end);
  const auto rest = static_cast<unsigned>(ms % 1000);
  if (rest == 0) return;
  const char digits[] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10),
                         static_cast<char>('0' + rest % 10)};
  out.append(digits, sizeof(digits));
}

void append_left(Nanoseconds left, std::string& out) {
  append_thousandths(
      left == kForever ? -1
                       : std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::milliseconds>(left).count()),
      out);
}

// What the rows of a workload begin with.
std::string begin_of_row(const WorkloadRow& workload) {
  std::string out = "{\"workload\":";
  append_string(workload.label(), out);
  out += ",\"cgroup_id\":";
  out += std::to_string(workload.cgroup_id);
  out += ",\"backend\":";
  append_string(workload.backend, out);
  return out + ",\"set\":";
}

void append_row(const std::string& begin, const SetRow& row, std::string& out) {
  out += begin;
  append_string(row.set, out);
  out += ",\"address\":\"";
  out += row.address.to_string();
  out += "\",\"protocol\":\"";
  out += to_string(row.ports.protocol);
  out += "\",\"ports\":";
  append_string(row.ports.protocol == Protocol::kIcmp ? "" : std::string_view(port_text(row)).substr(4), out);
  out += ",\"seconds_left\":";
  append_left(row.left, out);
  out += ",\"names\":[";
  for (const NameRow& name : row.names) {
    out += &name == row.names.data() ? "{\"name\":" : ",{\"name\":";
    append_string(name.name, out);
    out += ",\"rule\":";
    append_string(name.rule, out);
    out += ",\"seconds_left\":";
    append_left(name.left, out);
    out += ",\"learned_ago_s\":";
    append_thousandths(name.learned_ms_ago, out);
    out += ",\"renewed_ago_s\":";
    append_thousandths(name.renewed_ms_ago, out);
    out += ",\"hits\":";
    out += std::to_string(name.hits);
    out += '}';
  }
  out += "],\"other_names\":";
  out += std::to_string(row.other_names);
  out += ",\"drift\":\"";
  out += word_of(row.drift);
  out += "\"}";
}

std::string dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

nlohmann::json workload_json(const WorkloadRow& row) {
  return {{"name", row.name}, {"cgroup", row.cgroup},          {"cgroup_id", row.cgroup_id}, {"backend", row.backend},
          {"mode", row.mode}, {"in_kernel", row.is_in_kernel}, {"in_model", row.is_in_model}};
}

}  // namespace

bool has_drift(const SetsView& view, const SetsFacts& facts) {
  return !facts.changed.empty() || view.count(Drift::kUnknown) + view.count(Drift::kMissing) != 0;
}

std::string sets_text(const SetsView& view, const KernelSets& kernel, const SetsFacts& facts, const Screen& screen) {
  const std::size_t unknown = view.count(Drift::kUnknown), missing = view.count(Drift::kMissing);
  std::string out =
      view.rows.empty() ? "No address is held.\n" : rows_table(view, unknown + missing != 0, screen.width);
  out += "\n";
  if (kernel.table) out += fact_line("nft", table_sentence(*kernel.table), screen);
  std::size_t pinned = 0;
  for (const WorkloadRow& row : view.workloads) pinned += row.is_in_kernel && row.backend == "bpf" ? 1 : 0;
  if (pinned != 0) out += fact_line("bpf", phrase_count(pinned, "workload", "workloads") + " in pinned maps", screen);
  if (!kernel.table && pinned == 0) out += fact_line("kernel", "holds nothing of namewall", screen);
  if (!view.has_model) {
    out += fact_line("model", facts.no_daemon + "; names are those of the kernel, and nothing is compared", screen);
  } else if (unknown + missing == 0 && facts.changed.empty()) {
    out += fact_line("model", "the kernel holds what the daemon's model has", screen);
  } else {
    out += fact_line(
        "drift",
        phrase_count(unknown, "element that the model does not know", "elements that the model does not know") + ", " +
            phrase_count(missing, "element is missing", "elements are missing") +
            "; `namewall sets --repair` rebuilds them",
        screen);
  }
  out += sentence_list("\nThe table was changed:", facts.changed, screen);
  return out + sentence_list("\nNot read:", facts.notes, screen);
}

std::string sets_json(const SetsView& view, const KernelSets& kernel, const SetsFacts& facts) {
  nlohmann::json table = nullptr;
  if (kernel.table) {
    table = {{"name", kernel.table->name},
             {"owned", kernel.table->is_owned},
             {"persistent", kernel.table->is_persistent},
             {"dormant", kernel.table->is_dormant},
             {"elements", kernel.table->counts}};
  }
  std::string out = "{\"model\":" + std::string(view.has_model ? "true" : "false") + ",\n\"table\":" + dump(table);
  out += ",\n\"unknown\":" + std::to_string(view.count(Drift::kUnknown));
  out += ",\"missing\":" + std::to_string(view.count(Drift::kMissing));
  out += ",\"changed\":" + dump(facts.changed) + ",\"notes\":" + dump(facts.notes) + ",\n\"workloads\":[";
  for (const WorkloadRow& row : view.workloads)
    out += (&row == view.workloads.data() ? "\n" : ",\n") + dump(workload_json(row));
  out += "],\n\"elements\":[";
  out.reserve(out.size() + view.rows.size() * 320);
  std::vector<std::string> begins;
  for (const WorkloadRow& row : view.workloads) begins.push_back(begin_of_row(row));
  for (const SetRow& row : view.rows) {
    out += &row == view.rows.data() ? "\n" : ",\n";
    append_row(begins[row.workload], row, out);
  }
  return out + "]}\n";
}

std::string repair_text(const RepairView& repair, const Screen& screen) {
  std::string out;
  if (repair.unknown + repair.missing == 0 && repair.changed.empty() && repair.unrepaired.empty())
    return "Nothing differed: the kernel holds what the daemon's model has.\n";
  if (repair.unknown != 0)
    out += "removed " + phrase_count(repair.unknown, "element", "elements") + " that the model does not know\n";
  if (repair.missing != 0) out += "put back " + phrase_count(repair.missing, "element", "elements") + "\n";
  out += sentence_list("Rebuilt:", repair.changed, screen);
  return out + sentence_list("Not repaired:", repair.unrepaired, screen);
}

std::string repair_json(const RepairView& repair) {
  return dump({{"unknown", repair.unknown},
               {"missing", repair.missing},
               {"changed", repair.changed},
               {"unrepaired", repair.unrepaired}}) +
         "\n";
}

}  // namespace namewall::agent
