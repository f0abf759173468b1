// Enforcement by nftables alone, for a whole host or one run: the model of every workload (its image, its grants), and
// the tables that hold it in the kernel. The model is the truth; a table that lost something is rebuilt from it.
//
// Children of templates: nft cannot learn for a cgroup that nobody has told it of. A template's children
// (HostArmOptions:: children = kApart) and children of guarded cgroups are refused everything until they are armed.
// armed() looks for new children of templates and arms them with the template's policy: to be called when a cgroup
// appears below a template. One that is armed by a request has a policy of its own from then on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nft/table_shape.h"
#include "nft/transaction.h"
#include "policy/backend.h"
#include "policy/file_descriptor.h"

namespace namewall::nft {

struct HostOptions {
  std::string table{kTableName};  // `namewall run`: "namewall-run-<pid>"
  std::uint16_t log_group = kLogGroup;
  std::uint64_t own_netns = 0;  // cookie
  std::uint32_t max_workloads = 16384;
  std::optional<NftAbilities> abilities = std::nullopt;  // in the place of what is found, as of an older kernel
};

// Sockets made in a network namespace (open_netns_sockets()), wherever they are used.
struct NetnsSockets {
  FileDescriptor nft, log, conntrack;
};
Result<NetnsSockets> open_netns_sockets(std::uint16_t log_group);

class HostEnforcer final : public HostBackend {
 public:
  // In this process's network namespace; adopts the table that it finds. kPermission, kUnsupported: what is missing.
  // kConflict: another process owns the table.
  static Result<HostEnforcer> open(const HostOptions& options);
  HostEnforcer(HostEnforcer&&) noexcept;
  HostEnforcer& operator=(HostEnforcer&&) noexcept;
  ~HostEnforcer() override;

  // ---- namespaces beside the own ----
  // The table is made there (or adopted) and holds these workloads, with those that they are nested in, from now on.
  Result<void> enter_netns(std::uint64_t cookie, NetnsSockets sockets, const std::vector<std::uint64_t>& cgroup_ids);
  // More workloads came there.
  Result<void> join_netns(std::uint64_t cookie, const std::vector<std::uint64_t>& cgroup_ids);
  // Nobody is there any more: the table is deleted, if the namespace still lives.
  void leave_netns(std::uint64_t cookie);
  std::vector<std::uint64_t> namespaces() const;  // cookies, the own among them

  // ---- HostBackend ----
  const AdoptionReport& adoption() const override;
  std::vector<Result<ArmedCgroup>> arm(const std::vector<ArmRequest>& requests) override;
  Result<ArmedCgroup> replace(std::uint64_t cgroup_id, std::shared_ptr<const PolicyImage> image, bool strict) override;
  Result<void> set_strict(std::uint64_t cgroup_id, bool strict) override;
  Result<void> deny_all(std::uint64_t cgroup_id) override;
  Result<void> recognise(std::uint64_t cgroup_id, const std::string& cgroup,
                         std::shared_ptr<const PolicyImage> image) override;
  Result<void> disarm(int cgroup_fd, std::uint64_t cgroup_id) override;
  void forget(std::uint64_t cgroup_id) override;
  Result<void> guard(int cgroup_fd, std::uint64_t cgroup_id) override;
  Result<void> unguard(int cgroup_fd, std::uint64_t cgroup_id) override;
  std::map<std::uint64_t, std::string> guarded() const override;
  Result<std::vector<ArmedCgroup>> armed() const override;
  std::optional<ArmedCgroup> find(std::uint64_t cgroup_id) const override;
  Result<void> set_own_addresses(const std::vector<Address>& addresses) override;
  Result<std::vector<GrantRecord>> read_grants(std::uint64_t cgroup_id) const override;
  Result<Counters> read_counters(std::uint64_t cgroup_id) const override;
  Result<std::uint32_t> reap(std::uint64_t cgroup_id,
                             std::chrono::seconds expired_for = std::chrono::hours(1)) override;
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) override;
  void teach_all(std::span<LessonOrder> orders, BootTime now) override;
  Result<void> add_proxy_place(const ProxyPlace& place) override;
  Result<void> remove_proxy_place(const ProxyPlace& place) override;
  std::vector<ProxyPlace> proxy_places() const override;
  std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const override;
  std::optional<std::uint64_t> take_asker(const AskerKey& key) override;
  std::vector<std::uint64_t> levels_of(std::uint64_t cgroup_id) const override;
  std::vector<int> event_fds() const override;
  Result<std::size_t> consume_events(std::size_t max, const std::function<void(const Event&)>& handle) override;
  std::vector<Damage> verify(std::size_t budget) override;
  std::vector<Damage> verify_policies(std::size_t budget) override;
  // Compares every element of every table with the model.
  Result<DriftReport> find_drift(bool repair) override;
  std::vector<std::string> find_table_changes() override;
  std::optional<bool> seems_detached() override;
  std::size_t begin_turn() override;
  Result<void> keep_house() override;

  // Deletes the table in this namespace. What was lifted, a line each.
  static Result<std::vector<std::string>> teardown_all(const HostOptions& options);

 private:
  struct State;
  explicit HostEnforcer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::nft
