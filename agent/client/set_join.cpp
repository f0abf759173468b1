#include "agent/client/set_join.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>
#include <unordered_map>

#include "nft/element.h"

namespace namewall::agent {
namespace {

// Between what happens and what the clocks of both sides say of it: timeouts of elements are counted in jiffies.
constexpr Nanoseconds kSlack = std::chrono::milliseconds(100);

struct Key {
  std::uint32_t workload = 0;
  Address address;
  Protocol protocol = Protocol::kTcp;
  bool is_wide = false;
  std::uint32_t port = 0;  // of a wide set: which
  friend auto operator<=>(const Key&, const Key&) = default;
};

// A number for each list of ports: wide sets are told apart by what they hold.
class WideLists {
 public:
  std::uint32_t number_of(const std::string& list) {
    return numbers_.try_emplace(list, static_cast<std::uint32_t>(numbers_.size())).first->second;
  }

 private:
  std::map<std::string, std::uint32_t> numbers_;
};

Key make_key(std::uint32_t workload, const Address& address, const PortRange& ports, const std::string& list,
             WideLists& lists) {
  const bool is_wide = !list.empty();
  return {workload, address, ports.protocol, is_wide, is_wide ? lists.number_of(list) : ports.first.number};
}

struct Keyed {
  Key key;
  std::uint32_t index = 0;
  const HeldPorts* held = nullptr;  // of a grant
};

// Both sides mostly come in order.
bool by_key(const Keyed& a, const Keyed& b) { return std::tie(a.key, a.index) < std::tie(b.key, b.index); }

void sort(std::vector<Keyed>& list) {
  if (!std::is_sorted(list.begin(), list.end(), by_key)) std::sort(list.begin(), list.end(), by_key);
}

// The ports of a workload's grants as the kernel holds them.
class PortBook {
 public:
  explicit PortBook(const SetsWorkload& workload) {
    for (const std::vector<std::string>& texts : workload.ports) {
      std::vector<HeldPorts>& held = held_.emplace_back();
      for (const std::string& text : texts) {
        if (auto parsed = parse_held_ports(text)) held.push_back(*std::move(parsed));
      }
    }
  }
  const std::vector<HeldPorts>& of(const SetsGrant& grant) const {
    static const std::vector<HeldPorts> kNone;
    return grant.ports < held_.size() ? held_[grant.ports] : kNone;
  }

 private:
  std::vector<std::vector<HeldPorts>> held_;
};

std::vector<PortBook> port_books(const ModelSets& model) { return {model.workloads.begin(), model.workloads.end()}; }

std::vector<WorkloadRow> merge_workloads(const KernelSets& kernel, const ModelSets* model) {
  std::map<std::uint64_t, WorkloadRow> by_id;
  for (const KernelWorkload& held : kernel.workloads) {
    WorkloadRow& row = by_id[held.cgroup_id];
    row.cgroup_id = held.cgroup_id;
    row.cgroup = held.cgroup;
    row.backend = held.backend;
    row.mode = held.is_audit ? "audit" : "enforce";
    row.is_in_kernel = true;
  }
  for (const KernelElement& element : kernel.elements) {
    WorkloadRow& row = by_id[element.cgroup_id];
    if (row.cgroup_id == 0) row.backend = element.set == "grants" ? "bpf" : "nft";
    row.cgroup_id = element.cgroup_id;
  }
  for (const SetsWorkload& told : model == nullptr ? std::vector<SetsWorkload>() : model->workloads) {
    WorkloadRow& row = by_id[told.cgroup_id];
    row.cgroup_id = told.cgroup_id;
    row.name = told.workload;
    if (!told.cgroup.empty()) row.cgroup = told.cgroup;
    row.backend = told.backend;
    if (!told.mode.empty()) row.mode = told.mode;
    row.is_in_model = true;
  }
  std::vector<WorkloadRow> rows;
  for (auto& [id, row] : by_id) rows.push_back(std::move(row));
  std::stable_sort(rows.begin(), rows.end(),
                   [](const WorkloadRow& a, const WorkloadRow& b) { return a.label() < b.label(); });
  return rows;
}

NameRow name_row(const SetsWorkload& workload, const SetsGrant& grant) {
  NameRow row;
  row.name = grant.name;
  if (grant.rule >= 0 && static_cast<std::size_t>(grant.rule) < workload.rules.size())
    row.rule = workload.rules[static_cast<std::size_t>(grant.rule)];
  if (grant.left_ms != kUnknownTime) row.left = std::chrono::milliseconds(grant.left_ms);
  row.learned_ms_ago = grant.learned_ms_ago;
  row.renewed_ms_ago = grant.renewed_ms_ago;
  row.hits = grant.hits;
  return row;
}

BootTime as_of(const SetsWorkload& workload) { return {Nanoseconds(workload.as_of_ns)}; }

class Joiner {
 public:
  Joiner(const KernelSets& kernel, const ModelSets* model, std::string_view only) : kernel_(kernel), model_(model) {
    view_.has_model = model != nullptr;
    for (WorkloadRow& row : merge_workloads(kernel, model)) {
      if (!only.empty() && row.name != only && row.cgroup != only && std::to_string(row.cgroup_id) != only) continue;
      ranks_.emplace(row.cgroup_id, static_cast<std::uint32_t>(view_.workloads.size()));
      view_.workloads.push_back(std::move(row));
    }
    if (model == nullptr) return;
    for (std::uint32_t i = 0; i < model->workloads.size(); ++i) {
      if (const auto rank = ranks_.find(model->workloads[i].cgroup_id); rank != ranks_.end())
        told_.emplace(rank->second, i);
    }
  }

  SetsView run() {
    collect_elements();
    if (model_ != nullptr) collect_grants();
    merge();
    return std::move(view_);
  }

 private:
  void collect_elements() {
    elements_.reserve(kernel_.elements.size());
    for (std::uint32_t i = 0; i < kernel_.elements.size(); ++i) {
      const KernelElement& element = kernel_.elements[i];
      const auto rank = ranks_.find(element.cgroup_id);
      if (rank == ranks_.end()) continue;
      elements_.push_back({make_key(rank->second, element.address, element.ports, element.port_list, lists_), i});
    }
    sort(elements_);
    // A listing may give one twice.
    elements_.erase(
        std::unique(elements_.begin(), elements_.end(), [](const Keyed& a, const Keyed& b) { return a.key == b.key; }),
        elements_.end());
  }

  void collect_grants() {
    books_ = port_books(*model_);
    grants_.reserve(model_->grants.size());
    for (std::uint32_t i = 0; i < model_->grants.size(); ++i) {
      const auto& [told, grant] = model_->grants[i];
      const auto rank = ranks_.find(model_->workloads[told].cgroup_id);
      if (rank == ranks_.end()) continue;
      if (view_.workloads[rank->second].backend != "nft") {
        names_.emplace(std::pair(rank->second, std::string_view(grant.name)), i);
        continue;
      }
      for (const HeldPorts& held : books_[told].of(grant)) {
        grants_.push_back({make_key(rank->second, grant.address, held.ports, held.port_list, lists_), i, &held});
      }
    }
    sort(grants_);
  }

  void merge() {
    std::size_t e = 0, g = 0;
    view_.rows.reserve(elements_.size());
    while (e < elements_.size() || g < grants_.size()) {
      if (g == grants_.size() || (e < elements_.size() && elements_[e].key < grants_[g].key)) {
        add_unmatched(elements_[e++]);
        continue;
      }
      std::size_t end = g + 1;
      while (end < grants_.size() && grants_[end].key == grants_[g].key) ++end;
      const bool is_held = e < elements_.size() && elements_[e].key == grants_[g].key;
      add_granted(g, end, is_held ? &elements_[e] : nullptr);
      if (is_held) ++e;
      g = end;
    }
  }

  SetRow row_of(const Keyed& element) const {
    const KernelElement& held = kernel_.elements[element.index];
    SetRow row;
    row.workload = element.key.workload;
    row.set = held.set;
    row.address = held.address;
    row.ports = held.ports;
    row.port_list = held.port_list;
    row.left = held.left;
    return row;
  }

  void add_unmatched(const Keyed& element) {
    const KernelElement& held = kernel_.elements[element.index];
    SetRow row = row_of(element);
    for (const KernelName& name : held.names) row.names.push_back(name_of(row.workload, name));
    if (!held.comment.empty()) take_comment(held, row);
    if (model_ != nullptr && view_.workloads[row.workload].backend == "nft" && !is_newer(row.workload, held))
      row.drift = Drift::kUnknown;
    view_.rows.push_back(std::move(row));
  }

  static void take_comment(const KernelElement& held, SetRow& row) {
    const auto comment = nft::parse_grant_comment(held.comment);
    NameRow& name = row.names.emplace_back();
    name.left = held.left;
    if (!comment) {
      name.name = held.comment;
      return;
    }
    // Both stand in the comment as they are.
    const std::string_view text = held.comment;
    name.name = text.substr(0, comment->name.size());
    name.rule = text.substr(text.size() - comment->rule.size());
    row.other_names = comment->others;
  }

  // The kernel's own, with what the model knows beside it.
  NameRow name_of(std::uint32_t rank, const KernelName& name) const {
    NameRow row{name.name, name.rule, name.left, kUnknownTime, kUnknownTime, name.hits};
    const auto found = names_.find(std::pair(rank, std::string_view(name.name)));
    if (found == names_.end()) return row;
    const auto& [told, grant] = model_->grants[found->second];
    const NameRow known = name_row(model_->workloads[told], grant);
    row.rule = known.rule;
    row.learned_ms_ago = known.learned_ms_ago;
    row.renewed_ms_ago = known.renewed_ms_ago;
    return row;
  }

  // Whether the element may be younger than what the model told, or over by then.
  bool is_newer(std::uint32_t rank, const KernelElement& held) const {
    const auto told = told_.find(rank);
    if (told == told_.end()) return false;
    const BootTime model_time = as_of(model_->workloads[told->second]);
    if (held.age != kForever && kernel_.ended + (kSlack - held.age) > model_time) return true;
    return held.left != kForever && kernel_.begun + held.left < model_time + kSlack;
  }

  void add_granted(std::size_t begin, std::size_t end, const Keyed* element) {
    const auto& first = model_->grants[grants_[begin].index];
    SetRow row;
    if (element != nullptr) {
      row = row_of(*element);
    } else {
      row.workload = grants_[begin].key.workload;
      row.address = first.grant.address;
      row.ports = grants_[begin].held->ports;
      row.port_list = grants_[begin].held->port_list;
      row.left = Nanoseconds(0);
    }
    bool may_be_newer = false;
    for (std::size_t i = begin; i < end; ++i) {
      const auto& [told, grant] = model_->grants[grants_[i].index];
      row.names.push_back(name_row(model_->workloads[told], grant));
      if (element == nullptr) row.left = std::max(row.left, row.names.back().left);
      const BootTime time = as_of(model_->workloads[told]);
      for (const std::int64_t ago : {grant.learned_ms_ago, grant.renewed_ms_ago})
        may_be_newer |= ago >= 0 && time + kSlack > kernel_.begun + std::chrono::milliseconds(ago);
    }
    if (element == nullptr) {
      const BootTime time = as_of(model_->workloads[first.workload]);
      if (row.left != kForever && time + row.left < kernel_.ended + kSlack) return;
      if (!may_be_newer) row.drift = Drift::kMissing;
    }
    view_.rows.push_back(std::move(row));
  }

  const KernelSets& kernel_;
  const ModelSets* model_;
  SetsView view_;
  std::unordered_map<std::uint64_t, std::uint32_t> ranks_;  // cgroup id -> place among the workloads
  std::unordered_map<std::uint32_t, std::uint32_t> told_;   // that place -> the model's workload
  std::vector<Keyed> elements_, grants_;
  std::vector<PortBook> books_;
  WideLists lists_;
  struct PlaceHash {
    std::size_t operator()(const std::pair<std::uint32_t, std::string_view>& place) const {
      return std::hash<std::string_view>()(place.second) ^ place.first;
    }
  };
  // Of BPF workloads, whose grants the daemon reads from the maps that are read here: (workload, name) -> a grant.
  std::unordered_map<std::pair<std::uint32_t, std::string_view>, std::uint32_t, PlaceHash> names_;
};

}  // namespace

bool ModelSets::add(std::string_view line) {
  auto read = parse_sets_line(line);
  if (!read) return false;
  if (auto* told = std::get_if<SetsHost>(&*read)) {
    host = std::move(*told);
    return true;
  }
  if (auto* workload = std::get_if<SetsWorkload>(&*read)) {
    workloads.push_back(std::move(*workload));
    return true;
  }
  if (workloads.empty()) return false;
  grants.push_back({static_cast<std::uint32_t>(workloads.size() - 1), std::get<SetsGrant>(*std::move(read))});
  return true;
}

void ModelSets::take(ModelSets&& other) {
  const auto offset = static_cast<std::uint32_t>(workloads.size());
  for (SetsWorkload& workload : other.workloads) workloads.push_back(std::move(workload));
  for (Held& held : other.grants) grants.push_back({held.workload + offset, std::move(held.grant)});
}

std::string_view word_of(Drift drift) {
  switch (drift) {
    case Drift::kUnknown:
      return "unknown";
    case Drift::kMissing:
      return "missing";
    default:
      return "";
  }
}

std::string WorkloadRow::label() const {
  if (!name.empty()) return name;
  return cgroup.empty() ? "cgroup " + std::to_string(cgroup_id) : cgroup;
}

std::size_t SetsView::count(Drift drift) const {
  return static_cast<std::size_t>(
      std::count_if(rows.begin(), rows.end(), [drift](const SetRow& row) { return row.drift == drift; }));
}

SetsView join(const KernelSets& kernel, const ModelSets* model, std::string_view only) {
  return Joiner(kernel, model, only).run();
}

KernelPlace place_of(const SetsView& view, const SetRow& row) {
  return {view.workloads[row.workload].cgroup_id, row.address, row.ports.protocol, row.ports.first,
          !row.port_list.empty()};
}

std::vector<KernelPlace> expected_places(const ModelSets& model) {
  std::vector<KernelPlace> places;
  places.reserve(model.grants.size());
  const std::vector<PortBook> books = port_books(model);
  for (const auto& [told, grant] : model.grants) {
    const SetsWorkload& workload = model.workloads[told];
    if (workload.backend != "nft") continue;
    for (const HeldPorts& held : books[told].of(grant))
      places.push_back(
          {workload.cgroup_id, grant.address, held.ports.protocol, held.ports.first, !held.port_list.empty()});
  }
  return places;
}

std::vector<std::uint32_t> doubtful_workloads(const SetsView& view) {
  std::vector<std::uint32_t> found;
  for (const SetRow& row : view.rows) {
    if (row.drift != Drift::kNone && (found.empty() || found.back() != row.workload)) found.push_back(row.workload);
  }
  return found;
}

void settle(SetsView& view, const std::function<bool(const SetRow&)>& is_in_kernel, const ModelSets& model) {
  std::unordered_map<std::uint64_t, std::uint32_t> ranks;
  for (std::uint32_t i = 0; i < view.workloads.size(); ++i) ranks.emplace(view.workloads[i].cgroup_id, i);
  WideLists lists;
  std::vector<Key> known;
  const std::vector<PortBook> books = port_books(model);
  for (const auto& [told, grant] : model.grants) {
    const auto rank = ranks.find(model.workloads[told].cgroup_id);
    if (rank == ranks.end()) continue;
    for (const HeldPorts& held : books[told].of(grant))
      known.push_back(make_key(rank->second, grant.address, held.ports, held.port_list, lists));
  }
  std::sort(known.begin(), known.end());
  std::erase_if(view.rows, [&](SetRow& row) {
    if (row.drift == Drift::kNone) return false;
    const bool is_known = std::binary_search(known.begin(), known.end(),
                                             make_key(row.workload, row.address, row.ports, row.port_list, lists));
    const bool is_held = is_in_kernel(row);
    if (!is_known && !is_held) return true;  // it went
    if (is_known && is_held) row.drift = Drift::kNone;
    return false;
  });
}

std::optional<HeldPorts> parse_held_ports(std::string_view text) {
  constexpr std::string_view kWide = "wide ";
  const bool is_wide = text.starts_with(kWide);
  if (is_wide) text.remove_prefix(kWide.size());
  if (text == "icmp") return HeldPorts{{Protocol::kIcmp, Port{}, Port{}}, ""};
  const Protocol protocol = text.starts_with("tcp/") ? Protocol::kTcp : Protocol::kUdp;
  if (!text.starts_with(to_string(protocol) + "/") || text.size() == 4) return std::nullopt;
  text.remove_prefix(4);
  if (is_wide) return HeldPorts{{protocol, Port{}, Port{65535}}, std::string(text)};
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return HeldPorts{{protocol, Port{port}, Port{port}}, ""};
}

}  // namespace namewall::agent
