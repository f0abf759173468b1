#include "agent/run_tables.h"

#include <unistd.h>

#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "agent/host/netns_sockets.h"
#include "bpf/cgroup_search.h"
#include "nft/host_enforcer.h"
#include "nft/leftover_tables.h"
#include "nft/log_reader.h"

namespace namewall::agent {
namespace {

constexpr const char* kPrefix = "namewall-run-";
constexpr unsigned kLogGroups = 64;  // that are tried: other runs have theirs
constexpr std::uint16_t kFirstLogGroup = nft::kLogGroup + 1;

// What `work` returns; it runs in a thread of its own, which may enter a namespace.
template <typename F>
auto in_thread(F work) {
  std::optional<decltype(work())> result;
  std::thread([&] { result.emplace(work()); }).join();
  return std::move(*result);
}

Result<nft::NetnsSockets> open_sockets_in(const RunBackend::Stranger& process, std::uint16_t log_group) {
  if (auto entered = enter_netns_of(process.pid, process.netns_cookie); !entered) {
    return tl::unexpected(entered.error());
  }
  return nft::open_netns_sockets(log_group);
}

class TableRun final : public RunBackend {
 public:
  TableRun(nft::HostEnforcer enforcer, nft::HostOptions options, std::uint64_t cgroup_id, FileDescriptor cgroup)
      : enforcer_(std::move(enforcer)),
        options_(std::move(options)),
        cgroup_id_(cgroup_id),
        cgroup_(std::move(cgroup)) {}

  std::uint64_t cgroup_id() const override { return cgroup_id_; }
  Result<void> set_own_addresses(const std::vector<Address>& addresses) override {
    return enforcer_->set_own_addresses(addresses);
  }
  Result<std::vector<GrantRecord>> read_grants() const override { return enforcer_->read_grants(cgroup_id_); }
  Result<Counters> read_counters() const override { return enforcer_->read_counters(cgroup_id_); }
  Result<void> keep_house() override {
    if (const auto reaped = enforcer_->reap(cgroup_id_); !reaped) return tl::unexpected(reaped.error());
    for (const Damage& damage : enforcer_->verify(1)) {
      if (!damage.repaired) return fail(ErrorKind::kConflict, damage.what);
    }
    return enforcer_->keep_house();
  }
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) override {
    return enforcer_->teach(cgroup_id, lesson, now);
  }
  void teach_all(std::span<LessonOrder> orders, BootTime now) override { enforcer_->teach_all(orders, now); }
  Result<void> add_proxy_place(const ProxyPlace& place) override { return enforcer_->add_proxy_place(place); }
  Result<void> remove_proxy_place(const ProxyPlace& place) override { return enforcer_->remove_proxy_place(place); }
  std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const override {
    return enforcer_->cgroup_of_token(token);
  }
  std::optional<std::uint64_t> take_asker(const AskerKey& key) override { return enforcer_->take_asker(key); }
  std::vector<int> event_fds() const override { return enforcer_->event_fds(); }
  Result<std::size_t> consume_events(std::size_t max, const std::function<void(const Event&)>& handle) override {
    return enforcer_->consume_events(max, handle);
  }

  std::vector<Stranger> follow_namespaces() override {
    const auto list = in_thread([this] { return list_network_namespaces(cgroup_.get()); });
    if (!list) return {};
    std::vector<Stranger> entered;
    std::set<std::uint64_t> inhabited;
    for (const NetnsOfProcess& found : list->namespaces) {
      inhabited.insert(found.cookie);
      if (found.cookie == options_.own_netns || others_.contains(found.cookie)) continue;
      const Stranger process{found.cookie, found.pid};
      auto sockets = in_thread([&] { return open_sockets_in(process, options_.log_group); });
      if (!sockets || !enforcer_->enter_netns(found.cookie, std::move(*sockets), {cgroup_id_})) continue;
      others_.insert(found.cookie);
      entered.push_back(process);
    }
    if (!list->is_complete) return entered;
    for (const std::uint64_t cookie : others_) {
      if (!inhabited.contains(cookie)) enforcer_->leave_netns(cookie);
    }
    std::erase_if(others_, [&](std::uint64_t cookie) { return !inhabited.contains(cookie); });
    return entered;
  }
  bool follows_namespaces() const override { return true; }
  void clear() override {
    if (!enforcer_) return;
    for (const std::uint64_t cookie : others_) enforcer_->leave_netns(cookie);
    enforcer_.reset();  // the owner of the table is its socket
    (void)nft::HostEnforcer::teardown_all(options_);
  }

 private:
  std::optional<nft::HostEnforcer> enforcer_;
  nft::HostOptions options_;
  std::uint64_t cgroup_id_;
  FileDescriptor cgroup_;
  std::set<std::uint64_t> others_;  // cookies
};

bool is_gone(const std::string& mount, std::uint64_t cgroup_id, const std::string& path) {
  if (!path.empty()) {
    const auto opened = bpf::open_cgroup(mount, path, cgroup_id);
    return !opened && opened.error().kind == ErrorKind::kNotFound;
  }
  bool is_there = false;
  bpf::walk_cgroups(mount, [&](const std::string&, std::uint64_t id) { is_there = is_there || id == cgroup_id; });
  return !is_there;
}

// One that nobody listens to. Where none can be had, opening the enforcer tells why.
std::uint16_t free_log_group() {
  const auto begin = static_cast<unsigned>(::getpid());
  std::uint16_t group = 0;
  for (unsigned tried = 0; tried < kLogGroups; ++tried) {
    group = static_cast<std::uint16_t>(kFirstLogGroup + (begin + tried) % 50'000);
    const auto socket = nft::LogReader::open_socket_here(group);
    if (socket || socket.error().kind != ErrorKind::kConflict) break;
  }
  return group;
}

}  // namespace

Result<std::unique_ptr<RunBackend>> arm_by_table(int cgroup_fd, const std::string& cgroup, const PolicyImage& image,
                                                 std::uint64_t own_netns) {
  const auto mount = bpf::find_cgroup_mount();
  if (!mount) return tl::unexpected(mount.error());
  // What cannot be removed now is left for the next run.
  (void)nft::remove_leftover_tables(
      kPrefix, [&](std::uint64_t id, const std::string& path) { return is_gone(*mount, id, path); });

  nft::HostOptions options;
  options.table = kPrefix + std::to_string(::getpid());
  options.own_netns = own_netns;
  options.max_workloads = 1;
  options.log_group = free_log_group();
  auto enforcer = nft::HostEnforcer::open(options);
  if (!enforcer) return tl::unexpected(enforcer.error());
  ArmRequest request;
  request.cgroup_fd = cgroup_fd;
  request.cgroup = bpf::path_in_hierarchy(*mount, cgroup_fd);
  if (request.cgroup.empty()) request.cgroup = cgroup;
  request.image = std::make_shared<const PolicyImage>(image);
  request.options.trusted_netns = {own_netns};
  const auto armed = enforcer->arm({request}).front();
  if (!armed) {
    const Error error = armed.error();
    { const nft::HostEnforcer closed = std::move(*enforcer); }
    (void)nft::HostEnforcer::teardown_all(options);
    return tl::unexpected(error);
  }
  FileDescriptor kept(::dup(cgroup_fd));
  if (!kept) return fail_errno(errno, "cannot keep the cgroup open");
  return std::make_unique<TableRun>(std::move(*enforcer), std::move(options), armed->cgroup_id, std::move(kept));
}

}  // namespace namewall::agent
