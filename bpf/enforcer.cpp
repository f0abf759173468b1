#include "bpf/enforcer.h"

#include <sys/socket.h>

#include <cerrno>

#include "bpf/layer.h"

namespace namewall::bpf {

struct Enforcer::State {
  std::unique_ptr<Layer> layer;

  Result<void> check(const Workload& workload) const {
    const ArmedWorkload* armed = layer->find(workload.cgroup_id);
    if (armed == nullptr || armed->config.workload_id != workload.id)
      return fail(ErrorKind::kNotFound, "the workload is not armed");
    return {};
  }
};

Enforcer::Enforcer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Enforcer::Enforcer(Enforcer&&) noexcept = default;
Enforcer& Enforcer::operator=(Enforcer&&) noexcept = default;
Enforcer::~Enforcer() = default;

Result<Enforcer> Enforcer::load(const LoadOptions& options) {
  auto layer = Layer::load({.max_workloads = options.max_workloads,
                            .max_children = options.max_children,
                            .max_names = options.max_names,
                            .event_ring_bytes = options.event_ring_bytes,
                            .kernel = options.kernel},
                           AskerTokens(options.use_marks, 0));
  if (!layer) return tl::unexpected(layer.error());
  auto state = std::make_unique<State>();
  state->layer = std::move(*layer);
  return Enforcer(std::move(state));
}

Result<Workload> Enforcer::arm(int cgroup_fd, const PolicyImage& image, const ArmOptions& options) {
  const auto cgroup = identify_cgroup(cgroup_fd);
  if (!cgroup) return tl::unexpected(cgroup.error());
  const ArmTarget target{.cgroup_fd = cgroup_fd,
                         .cgroup = *cgroup,
                         .image = std::make_shared<const PolicyImage>(image),
                         .trusted_netns = options.trusted_netns,
                         .strict = options.strict,
                         .is_template = options.is_template};
  const auto armed = std::move(state_->layer->arm({target}).front());
  if (!armed) return tl::unexpected(armed.error());
  return Workload{armed->workload_id, armed->slot, armed->generation, armed->cgroup_id};
}

Result<void> Enforcer::replace(Workload& workload, const PolicyImage& image, bool strict) {
  if (auto done = state_->check(workload); !done) return done;
  if (auto done = state_->layer->remove_retired_rules(); !done) return done;
  const auto replaced = state_->layer->replace(workload.cgroup_id, std::make_shared<const PolicyImage>(image), strict);
  if (!replaced) return tl::unexpected(replaced.error());
  workload.generation = replaced->generation;
  return {};
}

Result<void> Enforcer::disarm(int cgroup_fd, const Workload& workload) {
  if (auto done = state_->check(workload); !done) return done;
  return state_->layer->disarm(cgroup_fd, workload.cgroup_id);
}

Result<void> Enforcer::set_own_addresses(const std::vector<Address>& addresses) {
  return state_->layer->set_own_addresses(addresses);
}

Result<std::vector<GrantRecord>> Enforcer::read_grants(const Workload& workload) const {
  if (auto done = state_->check(workload); !done) return tl::unexpected(done.error());
  return state_->layer->read_grants(workload.cgroup_id);
}

Result<Counters> Enforcer::read_counters(const Workload& workload) const {
  if (auto done = state_->check(workload); !done) return tl::unexpected(done.error());
  return state_->layer->read_counters(workload.cgroup_id);
}

Result<std::uint32_t> Enforcer::reap(const Workload& workload, std::chrono::seconds expired_for) {
  if (auto done = state_->check(workload); !done) return tl::unexpected(done.error());
  if (auto done = state_->layer->remove_retired_rules(); !done) return tl::unexpected(done.error());
  return state_->layer->reap(workload.cgroup_id, expired_for);
}

Reason Enforcer::teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime) {
  LessonOrder order{cgroup_id, &lesson};
  state_->layer->teach({&order, 1});
  return order.reason;
}

void Enforcer::teach_all(std::span<LessonOrder> orders) { state_->layer->teach(orders); }

Result<void> Enforcer::add_proxy_place(const ProxyPlace& place) { return state_->layer->proxy_places().add(place); }

Result<void> Enforcer::remove_proxy_place(const ProxyPlace& place) {
  return state_->layer->proxy_places().remove(place);
}

std::vector<ProxyPlace> Enforcer::proxy_places() const { return state_->layer->proxy_places().list(); }

std::optional<std::uint64_t> Enforcer::cgroup_of_token(AskerToken token) const {
  if (token == 0 || AskerTokens::layer_of(token) != 0) return std::nullopt;
  return state_->layer->cgroup_of_slot(AskerTokens::slot_of(token));
}

std::optional<std::uint64_t> Enforcer::take_asker(const AskerKey& key) {
  const auto cgroup = state_->layer->askers().take(key);
  return cgroup && state_->layer->find_config(*cgroup) ? cgroup : std::nullopt;
}

Result<std::size_t> Enforcer::add_grants(const Workload& workload, const std::vector<Grant>& grants) {
  if (auto done = state_->check(workload); !done) return tl::unexpected(done.error());
  return state_->layer->add_grants(workload.cgroup_id, grants);
}

int Enforcer::map_fd(const std::string& name) const { return state_->layer->objects().map(name); }

int Enforcer::program_fd(const std::string& name) const { return state_->layer->objects().program(name); }

int Enforcer::event_fd() const { return state_->layer->events().fd(); }

Result<std::size_t> Enforcer::consume_events(std::size_t max, const std::function<void(const Event&)>& handle) {
  return state_->layer->events().consume(max, handle);
}

Result<std::uint64_t> netns_cookie() {
  const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (!socket || getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) {
    return fail_errno(errno, "cannot read the cookie of the network namespace");
  }
  return cookie;
}

}  // namespace namewall::bpf
