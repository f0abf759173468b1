// What enforces one run: BPF programs on its cgroup, or a table of nftables. Either way enforcement outlives this
// process while the cgroup has processes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/backend.h"

namespace namewall::agent {

class RunBackend {
 public:
  // A process of the run, in another network namespace than this one.
  struct Stranger {
    std::uint64_t netns_cookie = 0;
    std::uint32_t pid = 0;
  };

  virtual ~RunBackend() = default;

  virtual std::uint64_t cgroup_id() const = 0;
  virtual Result<void> set_own_addresses(const std::vector<Address>& addresses) = 0;
  virtual Result<std::vector<GrantRecord>> read_grants() const = 0;
  virtual Result<Counters> read_counters() const = 0;
  // What may be done once a second.
  virtual Result<void> keep_house() = 0;

  virtual Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime now) = 0;
  virtual void teach_all(std::span<LessonOrder> orders, BootTime now) = 0;
  virtual Result<void> add_proxy_place(const ProxyPlace& place) = 0;
  virtual Result<void> remove_proxy_place(const ProxyPlace& place) = 0;
  virtual std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const = 0;
  virtual std::optional<std::uint64_t> take_asker(const AskerKey& key) = 0;

  virtual std::vector<int> event_fds() const = 0;
  virtual Result<std::size_t> consume_events(std::size_t max, const std::function<void(const Event&)>& handle) = 0;

  // Holds processes of the run in the network namespaces in which they are by now; those that are new. BPF holds them
  // anywhere: none.
  virtual std::vector<Stranger> follow_namespaces() = 0;
  virtual bool follows_namespaces() const = 0;
  // The run's cgroup is gone: so is what was made for it.
  virtual void clear() = 0;
};

// Arms the empty cgroup. `own_netns`: the cookie of this network namespace. All or nothing.
Result<std::unique_ptr<RunBackend>> arm_run(int cgroup_fd, const std::string& cgroup, const PolicyImage& image,
                                            std::uint64_t own_netns);

}  // namespace namewall::agent
