#include "bpf/enforcer.h"

#include <bpf/libbpf.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "bpf/cgroup_handle.h"
#include "bpf/event_decode.h"
#include "bpf/hash.h"
#include "bpf/map_access.h"
#include "bpf/rule_entries.h"
#include "bpf/rule_store.h"
#include "bpf/workload_tables.h"
#include "namewall.skel.h"

namespace namewall::bpf {
namespace {

// What libbpf says while it loads is kept for the error, not printed.
thread_local std::string load_messages;

int keep_message(libbpf_print_level level, const char* format, va_list arguments) {
  if (level > LIBBPF_WARN || load_messages.size() > 4096) return 0;
  std::array<char, 1024> line;
  const int length = vsnprintf(line.data(), line.size(), format, arguments);
  if (length > 0)
    load_messages.append(line.data(), std::min<std::size_t>(static_cast<std::size_t>(length), line.size() - 1));
  return 0;
}

struct Attachment {
  bpf_program* program;
  bpf_attach_type type;
};

struct SkeletonDeleter {
  void operator()(namewall_bpf* skeleton) const { namewall_bpf::destroy(skeleton); }
};

struct RingDeleter {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

struct ArmedWorkload {
  WorkloadTables tables;
  nw_workload config{};
  InstalledRules rules;
  PolicyImage image;
};

Result<std::uint64_t> random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) return fail_errno(errno, "cannot draw a seed");
  return seed;
}

std::string explain_load_failure(int error) {
  if (error == EPERM || error == EACCES) {
    return "this process may not load BPF programs (it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; run as root)";
  }
  if (error == ENOSYS) return "this kernel has no BPF";
  std::string last = load_messages.substr(0, load_messages.find('\n'));
  return "this kernel does not accept namewall's BPF programs" + (last.empty() ? "" : " (" + last + ")");
}

}  // namespace

struct Enforcer::State {
  std::unique_ptr<namewall_bpf, SkeletonDeleter> skeleton;
  std::unique_ptr<ring_buffer, RingDeleter> ring;
  // Of the consume_events under way.
  const std::function<void(const Event&)>* handle = nullptr;
  std::size_t taken = 0, limit = 0;
  std::uint32_t max_workloads = 0;
  std::uint32_t next_workload_id = 1;
  std::map<std::uint32_t, ArmedWorkload> armed;  // by slot
  std::vector<Address> own_addresses;
  std::optional<RuleStore> rules;

  // The order matters: answers are read before the first question leaves, packets before connects.
  std::array<Attachment, 11> attachments() const {
    auto& p = skeleton->progs;
    return {{{p.namewall_ingress, BPF_CGROUP_INET_INGRESS},
             {p.namewall_egress, BPF_CGROUP_INET_EGRESS},
             {p.namewall_sock_create, BPF_CGROUP_INET_SOCK_CREATE},
             {p.namewall_bind4, BPF_CGROUP_INET4_BIND},
             {p.namewall_bind6, BPF_CGROUP_INET6_BIND},
             {p.namewall_post_bind4, BPF_CGROUP_INET4_POST_BIND},
             {p.namewall_post_bind6, BPF_CGROUP_INET6_POST_BIND},
             {p.namewall_sendmsg4, BPF_CGROUP_UDP4_SENDMSG},
             {p.namewall_sendmsg6, BPF_CGROUP_UDP6_SENDMSG},
             {p.namewall_connect4, BPF_CGROUP_INET4_CONNECT},
             {p.namewall_connect6, BPF_CGROUP_INET6_CONNECT}}};
  }

  Result<void> publish_tables(std::uint32_t slot, const WorkloadTables& tables);
  Result<void> attach_all(int cgroup_fd, const nw_workload& config);
  Result<std::uint32_t> free_slot() const;
  Result<ArmedWorkload*> find(const Workload& workload);
};

Enforcer::Enforcer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Enforcer::Enforcer(Enforcer&&) noexcept = default;
Enforcer& Enforcer::operator=(Enforcer&&) noexcept = default;
Enforcer::~Enforcer() = default;

Result<Enforcer> Enforcer::load(const LoadOptions& options) {
  auto state = std::make_unique<State>();
  state->max_workloads = options.max_workloads;
  load_messages.clear();
  const libbpf_print_fn_t previous = libbpf_set_print(keep_message);
  state->skeleton.reset(namewall_bpf::open());
  int error = state->skeleton ? 0 : errno;
  if (error == 0) {
    auto& maps = state->skeleton->maps;
    bpf_map__set_max_entries(maps.name_rules, options.max_names);
    bpf_map__set_max_entries(maps.grants, options.max_workloads);
    bpf_map__set_max_entries(maps.names, options.max_workloads);
    bpf_map__set_max_entries(maps.stats, options.max_workloads);
    bpf_map__set_max_entries(maps.events, options.event_ring_bytes);
    error = -namewall_bpf::load(state->skeleton.get());
  }
  libbpf_set_print(previous);
  if (error != 0) {
    const ErrorKind kind = error == EPERM || error == EACCES ? ErrorKind::kPermission : ErrorKind::kUnsupported;
    return fail(kind, explain_load_failure(error));
  }
  auto& maps = state->skeleton->maps;
  state->rules.emplace(bpf_map__fd(maps.name_rules), bpf_map__fd(maps.glob_rules), bpf_map__fd(maps.address_rules));
  const auto on_event = [](void* context, void* data, std::size_t size) {
    auto* self = static_cast<State*>(context);
    if (const auto event = decode_event(data, size); event && self->handle) (*self->handle)(*event);
    return ++self->taken < self->limit ? 0 : -ECANCELED;  // the record counts as read, the next ones wait
  };
  state->ring.reset(ring_buffer__new(bpf_map__fd(state->skeleton->maps.events), on_event, state.get(), nullptr));
  if (!state->ring) return fail_errno(errno, "cannot read the event ring");
  return Enforcer(std::move(state));
}

Result<void> Enforcer::State::publish_tables(std::uint32_t slot, const WorkloadTables& tables) {
  const int grants = tables.grants_fd(), names = tables.names_fd();
  if (const int error = bpf_map_update_elem(bpf_map__fd(skeleton->maps.grants), &slot, &grants, BPF_ANY); error < 0) {
    return fail_errno(-error, "cannot publish the grants");
  }
  if (const int error = bpf_map_update_elem(bpf_map__fd(skeleton->maps.names), &slot, &names, BPF_ANY); error < 0) {
    return fail_errno(-error, "cannot publish the names");
  }
  return {};
}

Result<void> Enforcer::State::attach_all(int cgroup_fd, const nw_workload& config) {
  const auto attach = [&](const Attachment& a) {
    return bpf_prog_attach(bpf_program__fd(a.program), cgroup_fd, a.type, BPF_F_ALLOW_MULTI);
  };
  const auto detach = [&](const Attachment& a) { bpf_prog_detach2(bpf_program__fd(a.program), cgroup_fd, a.type); };
  const Attachment prepare{skeleton->progs.namewall_prepare, BPF_CGROUP_INET_SOCK_CREATE};
  if (const int error = attach(prepare); error < 0) return fail_errno(-error, "cannot attach to the cgroup");
  if (const int error = bpf_map_update_elem(bpf_map__fd(skeleton->maps.workloads), &config.cgroup_id, &config, BPF_ANY);
      error < 0) {
    detach(prepare);
    return fail_errno(-error, "cannot write the cgroup's policy");
  }
  const auto all = attachments();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const int error = attach(all[i]);
    if (error >= 0) continue;
    while (i-- > 0) detach(all[i]);
    detach(prepare);
    return fail_errno(-error, "cannot attach to the cgroup");
  }
  detach(prepare);
  return {};
}

Result<std::uint32_t> Enforcer::State::free_slot() const {
  for (std::uint32_t slot = 0; slot < max_workloads; ++slot) {
    if (!armed.contains(slot)) return slot;
  }
  return fail(ErrorKind::kLimit, "no room for another workload");
}

Result<ArmedWorkload*> Enforcer::State::find(const Workload& workload) {
  const auto found = armed.find(workload.slot);
  if (found == armed.end() || found->second.config.workload_id != workload.id) {
    return fail(ErrorKind::kNotFound, "the workload is not armed");
  }
  return &found->second;
}

Result<Workload> Enforcer::arm(int cgroup_fd, const PolicyImage& image, const ArmOptions& options) {
  const auto cgroup = identify_cgroup(cgroup_fd);
  if (!cgroup) return tl::unexpected(cgroup.error());
  const auto slot = state_->free_slot();
  if (!slot) return tl::unexpected(slot.error());
  if (options.trusted_netns.size() > NW_MAX_NETNS)
    return fail(ErrorKind::kLimit, "more than 4 trusted network namespaces");
  auto tables = WorkloadTables::create(image.max_addresses);
  if (!tables) return tl::unexpected(tables.error());
  const auto seed = random_seed();
  if (!seed) return tl::unexpected(seed.error());
  auto rules = state_->rules->install(image);
  if (!rules) return tl::unexpected(rules.error());

  nw_workload config{};
  describe_policy(image, config);
  if (options.strict) config.flags |= NW_FLAG_STRICT;
  config.workload_id = state_->next_workload_id++;
  config.slot = *slot;
  config.policy_id = rules->policy_id;
  config.generation = 1;
  config.seed = *seed;
  config.cgroup_id = cgroup->id;
  config.cgroup_level = cgroup->level;
  config.bucket_count = tables->bucket_count();
  std::copy(options.trusted_netns.begin(), options.trusted_netns.end(), config.trusted_netns);

  const nw_stats no_stats{};
  Result<void> done;
  if (const int error = bpf_map_update_elem(bpf_map__fd(state_->skeleton->maps.stats), &*slot, &no_stats, BPF_ANY);
      error < 0) {
    done = fail_errno(-error, "cannot clear the counters");
  }
  if (done) done = state_->publish_tables(*slot, *tables);
  if (done) done = state_->attach_all(cgroup_fd, config);
  if (!done) {
    (void)state_->rules->remove(*rules);
    return tl::unexpected(done.error());
  }
  const Workload workload{config.workload_id, *slot, config.generation, cgroup->id};
  state_->armed.insert_or_assign(*slot, ArmedWorkload{std::move(*tables), config, std::move(*rules), image});
  return workload;
}

Result<void> Enforcer::replace(Workload& workload, const PolicyImage& image, bool strict) {
  const auto found = state_->find(workload);
  if (!found) return tl::unexpected(found.error());
  ArmedWorkload& armed = **found;
  if (armed.config.generation == NW_GENERATION_MAX)
    return fail(ErrorKind::kLimit, "the workload's policy was replaced 2^24 times");
  if (state_->rules->has_many_retired()) {
    // Replacements in quick succession: an update of a map of maps returns when every program that ran has ended.
    if (auto done = state_->publish_tables(workload.slot, armed.tables); !done) return done;
    state_->rules->no_program_reads_retired();
  }
  if (auto done = state_->rules->remove_retired(); !done) return done;
  auto rules = state_->rules->install(image);
  if (!rules) return tl::unexpected(rules.error());
  nw_workload config = armed.config;
  describe_policy(image, config);
  if (strict) config.flags |= NW_FLAG_STRICT;
  config.policy_id = rules->policy_id;
  ++config.generation;
  if (const int error =
          bpf_map_update_elem(bpf_map__fd(state_->skeleton->maps.workloads), &config.cgroup_id, &config, BPF_EXIST);
      error < 0) {
    (void)state_->rules->remove(*rules);
    return fail_errno(-error, "cannot write the cgroup's policy");
  }
  armed.config = config;
  armed.image = image;
  std::swap(armed.rules, *rules);
  workload.generation = config.generation;
  state_->rules->retire(std::move(*rules));
  return {};
}

Result<void> Enforcer::disarm(int cgroup_fd, const Workload& workload) {
  const auto found = state_->find(workload);
  if (!found) return tl::unexpected(found.error());
  Result<void> done;
  for (const Attachment& a : state_->attachments()) {
    const int error = bpf_prog_detach2(bpf_program__fd(a.program), cgroup_fd, a.type);
    if (error < 0 && error != -ENOENT) done = fail_errno(-error, "cannot detach from the cgroup");
  }
  if (!done) return done;
  state_->rules->retire(std::move((*found)->rules));
  bpf_map_delete_elem(bpf_map__fd(state_->skeleton->maps.grants), &workload.slot);
  bpf_map_delete_elem(bpf_map__fd(state_->skeleton->maps.names), &workload.slot);
  state_->armed.erase(workload.slot);
  return done;
}

Result<void> Enforcer::set_own_addresses(const std::vector<Address>& addresses) {
  const int fd = bpf_map__fd(state_->skeleton->maps.own_addresses);
  struct Key {
    __u32 words[4];
  };
  std::vector<Key> added, removed;
  for (const Address& address : addresses) copy_address(address, added.emplace_back().words);
  for (const Address& address : state_->own_addresses) {
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      copy_address(address, removed.emplace_back().words);
    }
  }
  // Added first: an address is never without its mark while it moves.
  if (auto done = update_all(fd, "the host's addresses", added, std::vector<std::uint8_t>(added.size(), 1)); !done)
    return done;
  if (auto done = delete_all(fd, "the host's addresses", removed); !done) return done;
  state_->own_addresses = addresses;
  return {};
}

Result<std::vector<GrantRecord>> Enforcer::read_grants(const Workload& workload) const {
  const auto found = state_->find(workload);
  if (!found) return tl::unexpected(found.error());
  const ArmedWorkload& armed = **found;
  const auto learned = armed.tables.read();
  if (!learned) return tl::unexpected(learned.error());
  const auto generation_of = [](std::uint64_t word) { return static_cast<std::uint32_t>(word >> NW_MASK_BITS); };
  std::vector<GrantRecord> records;
  for (const auto& [slot, name] : *learned) {
    GrantRecord record{.grant = {.name = DomainName::from_normal(name_of(name.window, name.length)),
                                 .address = to_address(slot.address),
                                 .deadline = BootTime{Nanoseconds(slot.deadline)},
                                 .note = static_cast<Reason>(slot.note)},
                       .hits = slot.hits,
                       .is_private = slot.is_private != 0};
    std::uint64_t word = slot.ports;
    if (generation_of(word) != armed.config.generation) word = record.is_private ? name.private_ports : name.ports;
    if (generation_of(word) == armed.config.generation) {
      record.current_ports = word & kAllPorts;
    } else if (name.length != 0) {  // nobody has used the name under the policy in force
      const NameDecision decision = decide_name(armed.image, record.grant.name);
      record.current_ports = (record.is_private ? decision.allow_private : decision.allow) & kAllPorts;
    }
    if (record.grant.note != NW_REASON_NONE) record.current_ports = 0;
    record.grant.ports = record.current_ports;
    records.push_back(std::move(record));
  }
  return records;
}

Result<Counters> Enforcer::read_counters(const Workload& workload) const {
  if (auto found = state_->find(workload); !found) return tl::unexpected(found.error());
  nw_stats stats{};
  if (const int error = bpf_map_lookup_elem(bpf_map__fd(state_->skeleton->maps.stats), &workload.slot, &stats);
      error < 0) {
    return fail_errno(-error, "cannot read the counters");
  }
  Counters counters;
  counters.by_reason.assign(std::begin(stats.reasons), std::begin(stats.reasons) + NW_REASON_COUNT);
#define NW_COUNTER_NAME(symbol, code) counters.counters.emplace_back(code, stats.counters[NW_COUNTER_##symbol]);
  NW_COUNTERS(NW_COUNTER_NAME)
#undef NW_COUNTER_NAME
  return counters;
}

Result<std::uint32_t> Enforcer::reap(const Workload& workload, std::chrono::seconds expired_for) {
  if (auto found = state_->find(workload); !found) return tl::unexpected(found.error());
  if (auto done = state_->rules->remove_retired(); !done) return tl::unexpected(done.error());
  constexpr std::uint32_t kNamesPerCall = 128;
  std::uint32_t removed = 0;
  for (;;) {
    std::array<std::uint8_t, 64> packet{};  // what a packet program needs to run at all
    __sk_buff context{};
    context.mark = workload.slot;
    context.priority = kNamesPerCall;
    context.cb[0] = static_cast<std::uint32_t>(expired_for.count());
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = packet.size(), .ctx_in = &context,
                .ctx_size_in = sizeof(context));
    if (const int error = bpf_prog_test_run_opts(bpf_program__fd(state_->skeleton->progs.namewall_reap), &options);
        error < 0) {
      return fail_errno(-error, "cannot run the reaper");
    }
    removed += options.retval;
    if (options.retval < kNamesPerCall) return removed;
  }
}

Result<std::size_t> Enforcer::add_grants(const Workload& workload, const std::vector<Grant>& grants) {
  const auto found = state_->find(workload);
  if (!found) return tl::unexpected(found.error());
  return (*found)->tables.add(grants, (*found)->config.seed, (*found)->config.generation);
}

int Enforcer::event_fd() const { return ring_buffer__epoll_fd(state_->ring.get()); }

Result<std::size_t> Enforcer::consume_events(std::size_t max, const std::function<void(const Event&)>& handle) {
  state_->handle = &handle;
  state_->taken = 0;
  state_->limit = max;
  const int error = ring_buffer__consume(state_->ring.get());
  state_->handle = nullptr;
  if (error < 0 && error != -ECANCELED) return fail_errno(-error, "cannot read the event ring");
  return state_->taken;
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
