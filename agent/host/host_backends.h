// Both backends as one: each workload is its policy's backend's (PolicyImage::backend), which is asked for whatever
// names the workload. What names none (own addresses, places, house-keeping, damage) goes to all that are open.
//
// A backend is opened when the first policy needs it, or before (open()); the BPF one of a host without policies for it
// is never opened, so that no program is loaded. It stays open then.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "policy/backend.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {

class HostBackends final : public HostBackend {
 public:
  using Opener = std::function<Result<std::unique_ptr<HostBackend>>()>;
  struct Openers {
    Opener bpf, nft;
    // The directory of an armed cgroup, for moving it from one backend to the other. `path`: "" where it is not known.
    std::function<Result<FileDescriptor>(std::uint64_t cgroup_id, const std::string& path)> cgroup;
  };

  explicit HostBackends(Openers openers) : openers_(std::move(openers)) {}

  // Now. Nothing where it is open.
  Result<void> open(Backend backend);
  HostBackend* opened(Backend backend) const;  // nullptr: it is not open
  // Guards of which nobody says by whom (a host's policies without children yet).
  void set_default(Backend backend) { default_ = backend; }

  // ---- HostBackend ----
  const AdoptionReport& adoption() const override;
  std::vector<Result<ArmedCgroup>> arm(const std::vector<ArmRequest>& requests) override;
  // To the other backend: that one arms it before this one lets it go; both hold it between. What it has learned goes
  // along, as far as the new policy has the names.
  Result<ArmedCgroup> replace(std::uint64_t cgroup_id, std::shared_ptr<const PolicyImage> image, bool strict) override;
  Result<void> set_strict(std::uint64_t cgroup_id, bool strict) override;
  Result<void> deny_all(std::uint64_t cgroup_id) override;
  Result<void> recognise(std::uint64_t cgroup_id, const std::string& cgroup,
                         std::shared_ptr<const PolicyImage> image) override;
  Result<void> disarm(int cgroup_fd, std::uint64_t cgroup_id) override;
  void forget(std::uint64_t cgroup_id) override;
  Result<void> guard(int cgroup_fd, std::uint64_t cgroup_id) override;
  Result<void> guard_by(Backend backend, int cgroup_fd, std::uint64_t cgroup_id) override;
  Result<void> unguard(int cgroup_fd, std::uint64_t cgroup_id) override;
  std::map<std::uint64_t, std::string> guarded() const override;
  Result<std::vector<ArmedCgroup>> armed() const override;
  std::optional<ArmedCgroup> find(std::uint64_t cgroup_id) const override;
  Result<void> set_own_addresses(const std::vector<Address>& addresses) override;
  Result<std::vector<GrantRecord>> read_grants(std::uint64_t cgroup_id) const override;
  Result<Counters> read_counters(std::uint64_t cgroup_id) const override;
  Result<std::uint32_t> reap(std::uint64_t cgroup_id, std::chrono::seconds expired_for) override;
  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) override;
  void teach_all(std::span<LessonOrder> orders, BootTime now) override;
  Result<void> add_proxy_place(const ProxyPlace& place) override;
  Result<void> remove_proxy_place(const ProxyPlace& place) override;
  std::vector<ProxyPlace> proxy_places() const override;
  std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const override;
  std::optional<std::uint64_t> take_asker(const AskerKey& key) override;
  // Those of the workload's own backend first, then those of the other one that it lies in.
  std::vector<std::uint64_t> levels_of(std::uint64_t cgroup_id) const override;
  std::vector<int> event_fds() const override;
  Result<std::size_t> consume_events(std::size_t max, const std::function<void(const Event&)>& handle) override;
  std::vector<Damage> verify(std::size_t budget) override;
  std::vector<Damage> verify_policies(std::size_t budget) override;
  Result<DriftReport> find_drift(bool repair) override;
  std::vector<std::string> find_table_changes() override;
  std::optional<bool> seems_detached() override;
  std::size_t begin_turn() override;
  Result<void> keep_house() override;

 private:
  Result<HostBackend*> need(Backend backend);
  std::vector<HostBackend*> all() const;
  // Whose the workload is. kNotFound: nobody's.
  Result<HostBackend*> owner(std::uint64_t cgroup_id) const;
  Result<ArmedCgroup> move(HostBackend& from, Backend to, const ArmedCgroup& armed,
                           std::shared_ptr<const PolicyImage> image, bool strict);

  Openers openers_;
  std::array<std::unique_ptr<HostBackend>, 2> backends_;  // by Backend; set once
  mutable std::mutex mutex_;                              // of all that follows, and of backends_ while it is set
  Backend default_ = Backend::kBpf;
  std::vector<Address> own_addresses_;
  std::vector<ProxyPlace> places_;  // that the others have been told of
  mutable AdoptionReport adoption_;
};

}  // namespace namewall::agent
