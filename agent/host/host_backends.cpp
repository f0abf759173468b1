#include "agent/host/host_backends.h"

#include <algorithm>
#include <set>
#include <utility>

namespace namewall::agent {
namespace {

std::size_t index_of(Backend backend) { return static_cast<std::size_t>(backend); }
Backend other_than(Backend backend) { return backend == Backend::kNft ? Backend::kBpf : Backend::kNft; }

tl::unexpected<Error> not_armed() { return fail(ErrorKind::kNotFound, "the cgroup is not armed"); }

// The workload's owner asked, or what there is none for.
template <typename F>
auto ask(const Result<HostBackend*>& owner, F question) -> decltype(question(**owner)) {
  if (!owner) return tl::unexpected(owner.error());
  return question(**owner);
}

}  // namespace

Result<void> HostBackends::open(Backend backend) {
  const auto opened = need(backend);
  if (!opened) return tl::unexpected(opened.error());
  return {};
}

HostBackend* HostBackends::opened(Backend backend) const {
  const std::lock_guard lock(mutex_);
  return backends_[index_of(backend)].get();
}

Result<HostBackend*> HostBackends::need(Backend backend) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<HostBackend>& place = backends_[index_of(backend)];
  if (place) return place.get();
  auto made = (backend == Backend::kNft ? openers_.nft : openers_.bpf)();
  if (!made) return tl::unexpected(made.error());
  if (auto told = (*made)->set_own_addresses(own_addresses_); !told) return tl::unexpected(told.error());
  for (const ProxyPlace& known : places_) {
    if (auto added = (*made)->add_proxy_place(known); !added) return tl::unexpected(added.error());
  }
  place = std::move(*made);
  return place.get();
}

std::vector<HostBackend*> HostBackends::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<HostBackend*> out;
  for (const auto& backend : backends_) {
    if (backend) out.push_back(backend.get());
  }
  return out;
}

Result<HostBackend*> HostBackends::owner(std::uint64_t cgroup_id) const {
  for (const Backend backend : {Backend::kNft, Backend::kBpf}) {
    HostBackend* const one = opened(backend);
    if (one != nullptr && one->find(cgroup_id)) return one;
  }
  return not_armed();
}

const AdoptionReport& HostBackends::adoption() const {
  AdoptionReport sum;
  for (const HostBackend* backend : all()) {
    const AdoptionReport& one = backend->adoption();
    sum.workloads += one.workloads;
    sum.live_grants += one.live_grants;
    sum.programs_replaced = sum.programs_replaced || one.programs_replaced;
    sum.hooks_replaced += one.hooks_replaced;
    sum.longest_replacement = std::max(sum.longest_replacement, one.longest_replacement);
  }
  adoption_ = sum;
  return adoption_;
}

std::vector<Result<ArmedCgroup>> HostBackends::arm(const std::vector<ArmRequest>& requests) {
  std::vector<Result<ArmedCgroup>> results(requests.size());
  for (const Backend backend : {Backend::kBpf, Backend::kNft}) {
    std::vector<ArmRequest> own;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (requests[i].image->backend != backend) continue;
      own.push_back(requests[i]);
      places.push_back(i);
    }
    if (own.empty()) continue;
    const auto enforcer = need(backend);
    auto armed = enforcer ? (*enforcer)->arm(own) : std::vector<Result<ArmedCgroup>>();
    for (std::size_t i = 0; i < places.size(); ++i) {
      results[places[i]] =
          enforcer ? std::move(armed[i]) : Result<ArmedCgroup>(tl::unexpected<Error>(enforcer.error()));
      if (results[places[i]]) results[places[i]]->backend = backend;
    }
  }
  return results;
}

Result<void> HostBackends::set_strict(std::uint64_t cgroup_id, bool strict) {
  return ask(owner(cgroup_id), [&](HostBackend& one) { return one.set_strict(cgroup_id, strict); });
}

Result<void> HostBackends::deny_all(std::uint64_t cgroup_id) {
  return ask(owner(cgroup_id), [&](HostBackend& one) { return one.deny_all(cgroup_id); });
}

Result<void> HostBackends::recognise(std::uint64_t cgroup_id, const std::string& cgroup,
                                     std::shared_ptr<const PolicyImage> image) {
  const auto one = owner(cgroup_id);
  if (!one) return tl::unexpected(one.error());
  if (*one != opened(image->backend)) {
    return fail(ErrorKind::kConflict, "the cgroup " + cgroup + " is held by the other backend");
  }
  return (*one)->recognise(cgroup_id, cgroup, std::move(image));
}

Result<void> HostBackends::disarm(int cgroup_fd, std::uint64_t cgroup_id) {
  bool has_been = false;
  for (HostBackend* const backend : all()) {
    if (!backend->find(cgroup_id)) continue;
    has_been = true;
    if (auto lifted = backend->disarm(cgroup_fd, cgroup_id); !lifted) return lifted;
  }
  if (!has_been) return not_armed();
  return {};
}

void HostBackends::forget(std::uint64_t cgroup_id) {
  for (HostBackend* const backend : all()) backend->forget(cgroup_id);
}

Result<void> HostBackends::guard(int cgroup_fd, std::uint64_t cgroup_id) {
  return guard_by(default_, cgroup_fd, cgroup_id);
}

Result<void> HostBackends::guard_by(Backend backend, int cgroup_fd, std::uint64_t cgroup_id) {
  const auto wanted = need(backend);
  if (!wanted) return tl::unexpected(wanted.error());
  if (auto guarded = (*wanted)->guard(cgroup_fd, cgroup_id); !guarded) return guarded;
  HostBackend* const other = opened(other_than(backend));
  if (other == nullptr || !other->guarded().contains(cgroup_id)) return {};
  return other->unguard(cgroup_fd, cgroup_id);
}

Result<void> HostBackends::unguard(int cgroup_fd, std::uint64_t cgroup_id) {
  for (HostBackend* const backend : all()) {
    if (!backend->guarded().contains(cgroup_id)) continue;
    if (auto lifted = backend->unguard(cgroup_fd, cgroup_id); !lifted) return lifted;
  }
  return {};
}

std::map<std::uint64_t, std::string> HostBackends::guarded() const {
  std::map<std::uint64_t, std::string> out;
  for (const HostBackend* backend : all()) out.merge(backend->guarded());
  return out;
}

Result<std::vector<ArmedCgroup>> HostBackends::armed() const {
  std::vector<ArmedCgroup> out;
  std::set<std::uint64_t> seen;
  for (const Backend backend : {Backend::kNft, Backend::kBpf}) {
    const HostBackend* const one = opened(backend);
    if (one == nullptr) continue;
    auto armed = one->armed();
    if (!armed) return armed;
    for (ArmedCgroup& cgroup : *armed) {
      if (!seen.insert(cgroup.cgroup_id).second) continue;
      cgroup.backend = backend;
      out.push_back(std::move(cgroup));
    }
  }
  return out;
}

std::optional<ArmedCgroup> HostBackends::find(std::uint64_t cgroup_id) const {
  for (const Backend backend : {Backend::kNft, Backend::kBpf}) {
    const HostBackend* const one = opened(backend);
    auto found = one == nullptr ? std::nullopt : one->find(cgroup_id);
    if (!found) continue;
    found->backend = backend;
    return found;
  }
  return std::nullopt;
}

Result<void> HostBackends::set_own_addresses(const std::vector<Address>& addresses) {
  {
    const std::lock_guard lock(mutex_);
    own_addresses_ = addresses;
  }
  for (HostBackend* const backend : all()) {
    if (auto told = backend->set_own_addresses(addresses); !told) return told;
  }
  return {};
}

Result<std::vector<GrantRecord>> HostBackends::read_grants(std::uint64_t cgroup_id) const {
  return ask(owner(cgroup_id), [&](HostBackend& one) { return one.read_grants(cgroup_id); });
}

Result<Counters> HostBackends::read_counters(std::uint64_t cgroup_id) const {
  return ask(owner(cgroup_id), [&](HostBackend& one) { return one.read_counters(cgroup_id); });
}

Result<std::uint32_t> HostBackends::reap(std::uint64_t cgroup_id, std::chrono::seconds expired_for) {
  return ask(owner(cgroup_id), [&](HostBackend& one) { return one.reap(cgroup_id, expired_for); });
}

Reason HostBackends::teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) {
  const auto one = owner(cgroup_id);
  return one ? (*one)->teach(cgroup_id, lesson, now) : NW_REASON_TEACHING_FAILED;
}

void HostBackends::teach_all(std::span<LessonOrder> orders, BootTime now) {
  const std::vector<HostBackend*> open = all();
  if (open.size() == 1) return open.front()->teach_all(orders, now);
  for (HostBackend* const backend : open) {
    std::vector<LessonOrder> own;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < orders.size(); ++i) {
      const auto one = owner(orders[i].cgroup_id);
      if (!one || *one != backend) continue;
      own.push_back(orders[i]);
      places.push_back(i);
    }
    if (own.empty()) continue;
    backend->teach_all(own, now);
    for (std::size_t i = 0; i < places.size(); ++i) orders[places[i]].reason = own[i].reason;
  }
}

Result<void> HostBackends::add_proxy_place(const ProxyPlace& place) {
  {
    const std::lock_guard lock(mutex_);
    if (std::find(places_.begin(), places_.end(), place) == places_.end()) places_.push_back(place);
  }
  for (HostBackend* const backend : all()) {
    if (auto added = backend->add_proxy_place(place); !added) return added;
  }
  return {};
}

Result<void> HostBackends::remove_proxy_place(const ProxyPlace& place) {
  {
    const std::lock_guard lock(mutex_);
    std::erase(places_, place);
  }
  Result<void> outcome;
  for (HostBackend* const backend : all()) {
    if (auto removed = backend->remove_proxy_place(place); !removed) outcome = removed;
  }
  return outcome;
}

std::vector<ProxyPlace> HostBackends::proxy_places() const {
  std::vector<ProxyPlace> out;
  for (const HostBackend* backend : all()) {
    for (const ProxyPlace& place : backend->proxy_places()) out.push_back(place);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::optional<std::uint64_t> HostBackends::cgroup_of_token(AskerToken token) const {
  const HostBackend* const one = opened(token >= kFirstNftToken ? Backend::kNft : Backend::kBpf);
  return one == nullptr ? std::nullopt : one->cgroup_of_token(token);
}

std::optional<std::uint64_t> HostBackends::take_asker(const AskerKey& key) {
  for (HostBackend* const backend : all()) {
    if (const auto cgroup = backend->take_asker(key)) return cgroup;
  }
  return std::nullopt;
}

std::vector<std::uint64_t> HostBackends::levels_of(std::uint64_t cgroup_id) const {
  const auto own = owner(cgroup_id);
  if (!own) return {};
  std::vector<std::uint64_t> levels = (*own)->levels_of(cgroup_id);
  for (const HostBackend* backend : all()) {
    if (backend == *own) continue;
    for (const std::uint64_t level : backend->levels_of(cgroup_id)) {
      if (std::find(levels.begin(), levels.end(), level) == levels.end()) levels.push_back(level);
    }
  }
  return levels;
}

std::vector<int> HostBackends::event_fds() const {
  std::vector<int> out;
  for (const HostBackend* backend : all()) {
    for (const int fd : backend->event_fds()) out.push_back(fd);
  }
  return out;
}

Result<std::size_t> HostBackends::consume_events(std::size_t max, const std::function<void(const Event&)>& handle) {
  std::size_t count = 0;
  std::optional<Error> failed;
  for (HostBackend* const backend : all()) {
    if (count >= max) break;
    const auto taken = backend->consume_events(max - count, handle);
    if (taken) {
      count += *taken;
    } else {
      failed = taken.error();
    }
  }
  if (failed) return tl::unexpected(*failed);
  return count;
}

std::vector<Damage> HostBackends::verify(std::size_t budget) {
  std::vector<Damage> out;
  for (HostBackend* const backend : all()) {
    for (Damage& damage : backend->verify(budget)) out.push_back(std::move(damage));
  }
  return out;
}

std::vector<Damage> HostBackends::verify_policies(std::size_t budget) {
  std::vector<Damage> out;
  for (HostBackend* const backend : all()) {
    for (Damage& damage : backend->verify_policies(budget)) out.push_back(std::move(damage));
  }
  return out;
}

Result<DriftReport> HostBackends::find_drift(bool repair) {
  DriftReport whole;
  for (HostBackend* const backend : all()) {
    auto part = backend->find_drift(repair);
    if (!part) return part;
    whole.unknown += part->unknown;
    whole.missing += part->missing;
    whole.table.insert(whole.table.end(), part->table.begin(), part->table.end());
    whole.unrepaired.insert(whole.unrepaired.end(), part->unrepaired.begin(), part->unrepaired.end());
  }
  return whole;
}

std::vector<std::string> HostBackends::find_table_changes() {
  std::vector<std::string> found;
  for (HostBackend* const backend : all()) {
    for (std::string& what : backend->find_table_changes()) found.push_back(std::move(what));
  }
  return found;
}

std::optional<bool> HostBackends::seems_detached() {
  bool is_known = true, seems = false;
  for (HostBackend* const backend : all()) {
    const auto one = backend->seems_detached();
    is_known = is_known && one.has_value();
    seems = seems || one.value_or(false);
  }
  if (seems) return true;
  return is_known ? std::optional(false) : std::nullopt;
}

std::size_t HostBackends::begin_turn() {
  std::size_t most = 0;
  for (HostBackend* const backend : all()) most = std::max(most, backend->begin_turn());
  return most;
}

Result<void> HostBackends::keep_house() {
  Result<void> outcome;
  for (HostBackend* const backend : all()) {
    if (auto kept = backend->keep_house(); !kept) outcome = kept;
  }
  return outcome;
}

}  // namespace namewall::agent
