// HostEnforcer: network namespaces, and the DNS proxy's places in them.
#include <algorithm>

#include "nft/conntrack.h"
#include "nft/host_state.h"

namespace namewall::nft {
namespace {

std::vector<std::uint64_t> with_levels(const std::vector<std::uint64_t>& cgroup_ids,
                                       const std::function<std::vector<WorkloadModel*>(std::uint64_t)>& levels) {
  std::vector<std::uint64_t> all;
  for (const std::uint64_t id : cgroup_ids) {
    for (const WorkloadModel* level : levels(id)) all.push_back(level->cgroup_id);
  }
  return all;
}

}  // namespace

Result<NetnsSockets> open_netns_sockets(std::uint16_t log_group) {
  NetnsSockets sockets;
  auto nft = NftSocket::open_socket_here();
  if (!nft) return tl::unexpected(nft.error());
  sockets.nft = std::move(*nft);
  auto log = LogReader::open_socket_here(log_group);
  if (!log) return tl::unexpected(log.error());
  sockets.log = std::move(*log);
  if (auto conntrack = open_conntrack_socket_here()) sockets.conntrack = std::move(*conntrack);
  return sockets;
}

std::vector<WorkloadModel*> HostEnforcer::State::levels(std::uint64_t cgroup_id) {
  WorkloadModel* workload = find(cgroup_id);
  if (workload == nullptr || workload->is_template) return {};
  std::vector<WorkloadModel*> all = above(workload->cgroup);
  all.insert(all.begin(), workload);
  return all;
}

Result<void> HostEnforcer::enter_netns(std::uint64_t cookie, NetnsSockets sockets,
                                       const std::vector<std::uint64_t>& cgroup_ids) {
  const std::lock_guard lock(state_->mutex);
  State& state = *state_;
  if (state.table_of(cookie) != nullptr) return state.join(cookie, cgroup_ids);
  auto socket = NftSocket::adopt(std::move(sockets.nft));
  if (!socket) return tl::unexpected(socket.error());
  auto table = std::make_unique<NamespaceTable>(cookie, std::move(*socket), state.abilities, state.options.table);
  if (sockets.log) table->log = std::make_unique<LogReader>(std::move(sockets.log));
  table->conntrack = std::move(sockets.conntrack);
  for (const std::uint64_t id :
       with_levels(cgroup_ids, [&](std::uint64_t cgroup_id) { return state.levels(cgroup_id); }))
    table->members.insert(id);
  const auto found = table->find();
  if (!found) return tl::unexpected(found.error());
  // Flows that an earlier process saw begin are in an adopted table only.
  Result<void> done = *found ? state.take_rules(*table) : fail(ErrorKind::kNotFound, "no table");
  if (done) {
    const auto compared = state.compare(*table, true);
    if (!compared) done = tl::unexpected(compared.error());
  }
  if (!done) done = state.rebuild(*table);
  if (!done) return done;
  state.tables.push_back(std::move(table));
  return {};
}

Result<void> HostEnforcer::join_netns(std::uint64_t cookie, const std::vector<std::uint64_t>& cgroup_ids) {
  const std::lock_guard lock(state_->mutex);
  return state_->join(cookie, cgroup_ids);
}

Result<void> HostEnforcer::State::join(std::uint64_t cookie, const std::vector<std::uint64_t>& cgroup_ids) {
  NamespaceTable* table = table_of(cookie);
  if (table == nullptr) return fail(ErrorKind::kNotFound, "no table in network namespace " + std::to_string(cookie));
  if (table == &own()) return {};
  const BootTime now = boot_now();
  ElementChanges changes;
  std::vector<std::uint64_t> joined;
  for (const std::uint64_t id : with_levels(cgroup_ids, [&](std::uint64_t cgroup_id) { return levels(cgroup_id); })) {
    if (!table->members.insert(id).second) continue;
    joined.push_back(id);
    const WorkloadModel& workload = *find(id);
    changes.add.insert(changes.add.end(), workload.installed.begin(), workload.installed.end());
    for (const auto& [address, held] : workload.held) {
      for (const HeldPart& part : held.parts) {
        if (part.part.deadline <= now) continue;
        changes.add.push_back(
            to_element(id, address, CommentedPart{part.part, workload.comment_of(address, part.part, now)}, now));
      }
    }
  }
  if (changes.empty()) return {};
  if (auto done = apply_to(*table, changes); !done) {
    for (const std::uint64_t id : joined) table->members.erase(id);
    return done;
  }
  return {};
}

void HostEnforcer::leave_netns(std::uint64_t cookie) {
  const std::lock_guard lock(state_->mutex);
  auto& tables = state_->tables;
  const auto found =
      std::find_if(tables.begin() + 1, tables.end(), [&](const auto& table) { return table->cookie() == cookie; });
  if (found == tables.end()) return;
  (void)(*found)->remove();
  tables.erase(found);
  std::erase_if(state_->places, [&](const ProxyPlace& place) { return place.netns_cookie == cookie; });
}

std::vector<std::uint64_t> HostEnforcer::namespaces() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::uint64_t> cookies;
  for (const auto& table : state_->tables) cookies.push_back(table->cookie());
  return cookies;
}

Result<void> HostEnforcer::add_proxy_place(const ProxyPlace& place) {
  const std::lock_guard lock(state_->mutex);
  std::vector<ProxyPlace>& places = state_->places;
  if (std::find(places.begin(), places.end(), place) != places.end()) return {};
  // One port for each resolver: another one takes its place.
  const auto former = std::find_if(places.begin(), places.end(), [&](const ProxyPlace& other) {
    return other.netns_cookie == place.netns_cookie && other.resolver == place.resolver &&
           other.protocol == place.protocol;
  });
  const std::vector<ProxyPlace> before = places;
  ElementChanges changes;
  if (former != places.end()) {
    changes.remove.push_back(place_element(*former));
    places.erase(former);
  }
  changes.add.push_back(place_element(place));
  NamespaceTable* table = state_->table_of(place.netns_cookie);
  if (table != nullptr && table->is_made()) {
    // The model without it, until the kernel has it.
    places.push_back(place);
    if (auto done = state_->apply_to(*table, changes); !done) {
      places = before;
      return done;
    }
    if (table->conntrack) state_->forget_old_questions(*table, {place.resolver});
    return {};
  }
  places.push_back(place);
  return {};
}

void HostEnforcer::State::forget_old_questions(NamespaceTable& table, const std::vector<ResolverAddress>& resolvers) {
  std::vector<ProxyPlace> here = places;
  std::erase_if(here, [&](const ProxyPlace& place) { return place.netns_cookie != table.cookie(); });
  const auto forgotten = forget_dns_flows(table.conntrack.get(), resolvers, here);
  if (!forgotten) noticed.push_back({"DNS flows older than their policy stay: " + forgotten.error().message(), false});
}

Result<void> HostEnforcer::remove_proxy_place(const ProxyPlace& place) {
  const std::lock_guard lock(state_->mutex);
  std::vector<ProxyPlace>& places = state_->places;
  const auto found = std::find(places.begin(), places.end(), place);
  if (found == places.end()) return {};
  places.erase(found);
  NamespaceTable* table = state_->table_of(place.netns_cookie);
  if (table == nullptr || !table->is_made()) return {};
  ElementChanges changes;
  changes.destroy.push_back(place_element(place));
  return state_->apply_to(*table, changes);
}

std::vector<ProxyPlace> HostEnforcer::proxy_places() const {
  const std::lock_guard lock(state_->mutex);
  return state_->places;
}

}  // namespace namewall::nft
