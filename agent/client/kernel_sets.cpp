#include "agent/client/kernel_sets.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <functional>
#include <future>
#include <iterator>
#include <span>
#include <tuple>

#include "bpf/pinned_view.h"
#include "nft/listing.h"
#include "policy/port_classes.h"

namespace namewall::agent {
namespace {

using nft::SetId;

constexpr std::array kWide4{SetId::kWide1_4, SetId::kWide2_4, SetId::kWide3_4, SetId::kWide4_4};
constexpr std::array kWide6{SetId::kWide1_6, SetId::kWide2_6, SetId::kWide3_6, SetId::kWide4_6};
constexpr std::array kWidePorts{SetId::kWidePorts1, SetId::kWidePorts2, SetId::kWidePorts3, SetId::kWidePorts4};
// Beside those that are shown row by row.
constexpr std::array kCounted{SetId::kParents, SetId::kFixed4, SetId::kFixed6, SetId::kListen};

Protocol protocol_of(std::uint8_t ip_protocol) {
  if (ip_protocol == IPPROTO_TCP) return Protocol::kTcp;
  return ip_protocol == IPPROTO_UDP ? Protocol::kUdp : Protocol::kIcmp;
}

// The sets that a place may be in, and the element that it would be there.
std::span<const SetId> sets_of(const KernelPlace& place) {
  static constexpr std::array kLearned4{SetId::kLearned4}, kLearned6{SetId::kLearned6};
  const bool is_v4 = place.address.is_v4();
  if (!place.is_wide) return is_v4 ? std::span<const SetId>(kLearned4) : kLearned6;
  return is_v4 ? std::span<const SetId>(kWide4) : kWide6;
}
nft::Element element_of(const KernelPlace& place, SetId set) {
  if (!place.is_wide) {
    const auto key = nft::endpoint_key(place.cgroup_id, place.address, place.protocol, place.port);
    return {.set = set, .key = nft::encode(key)};
  }
  const std::uint8_t protocol = place.protocol == Protocol::kTcp ? IPPROTO_TCP : IPPROTO_UDP;
  return {.set = set, .key = nft::encode_address(place.cgroup_id, place.address, protocol)};
}

// Those of the places that are in the set, asked for part by part.
Result<void> read_places(nft::NftSocket& socket, SetId set, std::span<const KernelPlace* const> places,
                         const std::function<void(const nft::Element&)>& each) {
  constexpr std::size_t kPart = 2048;
  std::vector<nft::Element> wanted;
  while (!places.empty()) {
    const auto part = places.first(std::min(kPart, places.size()));
    places = places.subspan(part.size());
    wanted.clear();
    for (const KernelPlace* place : part) wanted.push_back(element_of(*place, set));
    if (auto done = nft::read_elements(socket, wanted, each); !done) return done;
  }
  return {};
}

class NftReader {
 public:
  NftReader(nft::NftSocket& socket, const std::vector<KernelPlace>* expected, KernelSets& sets)
      : socket_(socket), has_expected_(expected != nullptr), sets_(sets) {
    if (expected == nullptr) return;
    for (const KernelPlace& place : *expected) {
      for (const SetId set : sets_of(place)) wanted_[set].push_back(&place);
    }
  }

  void run(const nft::TableListing& listing) {
    NftTable& table = sets_.table.emplace();
    table.name = nft::kTableName;
    table.is_owned = listing.is_owned;
    table.is_persistent = listing.is_persistent;
    table.is_dormant = listing.is_dormant;
    if (const auto names = nft::list_set_names(socket_)) {
      for (const nft::SetShape& shape : nft::all_sets()) {
        if (std::find(names->begin(), names->end(), shape.name) == names->end())
          table.missing_sets.emplace_back(shape.name);
      }
    }
    read_workloads();
    read_wide_ports();
    for (const SetId set : {SetId::kLearned4, SetId::kLearned6}) read_learned(set, 0);
    for (std::size_t i = 0; i < kWide4.size(); ++i) {
      read_learned(kWide4[i], i);
      read_learned(kWide6[i], i);
    }
    for (const SetId set : kCounted) each(set, [](const nft::Element&) {});
  }

 private:
  void note(SetId set, const Result<void>& done) {
    if (!done && done.error().kind != ErrorKind::kNotFound)
      sets_.notes.push_back("the set " + std::string(nft::shape_of(set).name) + ": " + done.error().message());
  }

  template <typename Visit>
  void each(SetId set, const Visit& visit) {
    std::size_t count = 0;
    const auto listed = nft::list_elements(socket_, set, [&](const nft::Element& element) {
      ++count;
      visit(element);
    });
    if (listed) sets_.table->counts[std::string(nft::shape_of(set).name)] = count;
    note(set, listed);
  }

  void read_workloads() {
    std::map<std::uint64_t, KernelWorkload> found;
    each(SetId::kEnforced, [&](const nft::Element& element) {
      const auto id = nft::decode_cgroup(element.set, element.key);
      if (!id) return;
      KernelWorkload& workload = found[*id];
      workload = {*id, "", "nft", false};
      if (auto tag = nft::parse_workload_tag(element.comment)) workload.cgroup = std::move(tag->cgroup);
    });
    each(SetId::kAudited, [&](const nft::Element& element) {
      const auto id = nft::decode_cgroup(element.set, element.key);
      if (const auto at = id ? found.find(*id) : found.end(); at != found.end()) at->second.is_audit = true;
    });
    for (auto& [id, workload] : found) sets_.workloads.push_back(std::move(workload));
  }

  void read_wide_ports() {
    std::map<std::tuple<std::size_t, std::uint64_t, Protocol>, std::vector<PortRange>> ranges;
    for (std::size_t i = 0; i < kWidePorts.size(); ++i) {
      each(kWidePorts[i], [&](const nft::Element& element) {
        const auto first = nft::decode_key(element.set, element.key);
        const auto last = nft::decode_key(element.set, element.key_end.empty() ? element.key : element.key_end);
        if (!first || !last || last->port < first->port) return;
        const Protocol protocol = protocol_of(first->ip_protocol);
        ranges[{i, first->cgroup_id, protocol}].push_back({protocol, Port{first->port}, Port{last->port}});
      });
    }
    for (auto& [place, of_place] : ranges)
      wide_ports_.emplace(place, PortSet(std::move(of_place)).list_of(std::get<Protocol>(place)));
  }

  void read_learned(SetId set, std::size_t wide) {
    // What is asked for the model knows by name.
    const auto into = [&](std::vector<KernelElement>& elements, bool with_comments) {
      return [this, wide, with_comments, &elements](const nft::Element& element) {
        const std::size_t before = elements.size();
        add_learned(element, wide, elements);
        if (with_comments && elements.size() > before) elements.back().comment = element.comment;
      };
    };
    const std::vector<const KernelPlace*>& wanted = wanted_[set];
    const auto count = nft::count_elements(socket_, set);
    if (!count) return note(set, tl::unexpected(count.error()));
    const std::size_t size = std::max(count->value_or(0), static_cast<std::uint32_t>(wanted.size()));
    if (!has_expected_ || size <= kListed) return each(set, into(sets_.elements, true));
    // Each half by a thread of its own: most of the time is the kernel's.
    const std::span<const KernelPlace* const> all(wanted);
    std::vector<KernelElement> second;
    auto other = std::async(std::launch::async, [&]() -> Result<void> {
      auto socket = nft::NftSocket::open();
      if (!socket) return tl::unexpected(socket.error());
      second.reserve(all.size() - all.size() / 2);
      return read_places(*socket, set, all.subspan(all.size() / 2), into(second, false));
    });
    std::vector<KernelElement> first;
    first.reserve(all.size() / 2);
    auto read = read_places(socket_, set, all.first(all.size() / 2), into(first, false));
    if (const auto done = other.get(); !done) read = done;
    const std::size_t found = first.size() + second.size();
    sets_.table->counts[std::string(nft::shape_of(set).name)] = found;
    if (!read) return note(set, read);
    if (!sets_.table->is_owned && (!*count || **count > found)) return each(set, into(sets_.elements, true));
    for (std::vector<KernelElement>* part : {&first, &second}) {
      sets_.elements.insert(sets_.elements.end(), std::make_move_iterator(part->begin()),
                            std::make_move_iterator(part->end()));
    }
  }

  // An element whose key does not read adds none.
  void add_learned(const nft::Element& element, std::size_t wide, std::vector<KernelElement>& elements) const {
    const auto key = nft::decode_key(element.set, element.key);
    if (!key) return;
    KernelElement& held = elements.emplace_back();
    held.cgroup_id = key->cgroup_id;
    held.set = nft::shape_of(element.set).name;
    held.address = key->address;
    const Protocol protocol = protocol_of(key->ip_protocol);
    const Port port{protocol == Protocol::kIcmp ? std::uint16_t{0} : key->port};
    held.ports = {protocol, port, port};
    if (element.set != SetId::kLearned4 && element.set != SetId::kLearned6) {
      held.ports = {protocol, Port{}, Port{65535}};
      const auto list = wide_ports_.find({wide, key->cgroup_id, protocol});
      held.port_list = list == wide_ports_.end() ? "none" : list->second;
    }
    if (element.timeout) {
      held.left = element.expires.value_or(*element.timeout);
      held.age = *element.timeout - held.left;
    }
  }

  nft::NftSocket& socket_;
  bool has_expected_;
  std::map<SetId, std::vector<const KernelPlace*>> wanted_;
  KernelSets& sets_;
  std::map<std::tuple<std::size_t, std::uint64_t, Protocol>, std::string> wide_ports_;
};

// ---- BPF ----

// A workload's grants by address and ports, as nft has them: the slots of one address are one for each name.
class PinnedJoin {
 public:
  PinnedJoin(const bpf::PinnedWorkload& workload, BootTime now, KernelSets& sets)
      : workload_(workload), now_(now), sets_(sets) {}

  void run() {
    for (const bpf::PinnedGrant& grant : workload_.grants) {
      if (grant.note != NW_REASON_NONE || grant.deadline <= now_) continue;
      for (const Held& held : held_of(grant.mask)) add(grant, held);
    }
  }

 private:
  struct Held {
    PortRange ports;
    std::string list;
  };

  // As nft would hold them: a class of few ports port by port, others whole.
  const std::vector<Held>& held_of(PortMask mask) {
    const auto [found, is_new] = held_.try_emplace(mask);
    for (unsigned bit = 0; is_new && bit < kMaxPortClasses; ++bit) {
      if ((mask >> bit & 1) == 0) continue;
      const PortSet ports = ports_of(workload_.intervals, PortMask{1} << bit);
      bool is_wide = false;
      for (const PortRange& range : ports.ranges())
        is_wide |= range.last.number - range.first.number >= static_cast<int>(nft::kMaxListedPorts);
      for (const PortRange& range : ports.ranges()) {
        if (is_wide && range.protocol != Protocol::kIcmp) continue;
        for (std::uint32_t port = range.first.number; port <= range.last.number; ++port) {
          const Port one{static_cast<std::uint16_t>(port)};
          found->second.push_back({{range.protocol, one, one}, ""});
        }
      }
      for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
        std::string list = is_wide ? ports.list_of(protocol) : "";
        if (!list.empty()) found->second.push_back({{protocol, Port{}, Port{65535}}, std::move(list)});
      }
    }
    return found->second;
  }

  void add(const bpf::PinnedGrant& grant, const Held& held) {
    const auto [at, is_new] = places_.try_emplace({grant.address, held.ports, held.list}, sets_.elements.size());
    if (is_new) {
      KernelElement& element = sets_.elements.emplace_back();
      element.cgroup_id = workload_.cgroup_id;
      element.set = "grants";
      element.address = grant.address;
      element.ports = held.ports;
      element.port_list = held.list;
      element.left = Nanoseconds(0);
    }
    KernelElement& element = sets_.elements[at->second];
    const Nanoseconds left = grant.deadline == kNever ? kForever : grant.deadline - now_;
    element.left = std::max(element.left, left);
    element.names.push_back({grant.name, "", left, grant.hits});
  }

  const bpf::PinnedWorkload& workload_;
  BootTime now_;
  KernelSets& sets_;
  std::map<PortMask, std::vector<Held>> held_;
  std::map<std::tuple<Address, PortRange, std::string>, std::size_t> places_;
};

}  // namespace

Result<void> read_nft(const std::vector<KernelPlace>* expected, KernelSets& sets) {
  auto socket = nft::NftSocket::open();
  if (!socket) {
    if (socket.error().kind == ErrorKind::kUnsupported) return {};
    return tl::unexpected(socket.error());
  }
  const auto table = nft::read_table(*socket);
  if (!table) return tl::unexpected(table.error());
  if (*table) NftReader(*socket, expected, sets).run(**table);
  return {};
}

Result<void> read_bpf(const std::string& pin_directory, BootTime now, KernelSets& sets) {
  const auto pinned = bpf::read_pinned_workloads(pin_directory);
  if (!pinned) return tl::unexpected(pinned.error());
  for (const bpf::PinnedWorkload& workload : *pinned) {
    sets.workloads.push_back({workload.cgroup_id, workload.cgroup, "bpf", workload.is_audit});
    if (!workload.unread.empty()) {
      const std::string& cgroup = workload.cgroup;
      sets.notes.push_back((cgroup.empty() ? "cgroup " + std::to_string(workload.cgroup_id) : cgroup) + ": " +
                           workload.unread);
    }
    PinnedJoin(workload, now, sets).run();
  }
  return {};
}

Result<std::vector<bool>> look_up_nft(const std::vector<KernelPlace>& places) {
  auto socket = nft::NftSocket::open();
  if (!socket) return tl::unexpected(socket.error());
  std::vector<bool> held;
  for (const KernelPlace& place : places) {
    bool is_held = false;
    for (const SetId set : sets_of(place)) {
      const std::array one{&place};
      const auto read = read_places(*socket, set, one, [&](const nft::Element&) { is_held = true; });
      if (!read && read.error().kind != ErrorKind::kNotFound) return tl::unexpected(read.error());
    }
    held.push_back(is_held);
  }
  return held;
}

}  // namespace namewall::agent
