#include "agent/host/helper_protocol.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

namespace namewall::agent {
namespace {

using Obstacle = ProofOutcome::Obstacle;
using Outcome = ProofStep::Outcome;

// Cut, and always ended.
template <std::size_t kSize>
void put_text(char (&to)[kSize], std::string_view text) {
  const std::size_t length = std::min(text.size(), kSize - 1);
  std::memcpy(to, text.data(), length);
  std::memset(to + length, 0, kSize - length);
}

template <std::size_t kSize>
std::optional<std::string_view> read_text(const char (&text)[kSize]) {
  const auto* end = static_cast<const char*>(std::memchr(text, 0, kSize));
  if (end == nullptr) return std::nullopt;
  return std::string_view(text, static_cast<std::size_t>(end - text));
}

Address address_of(const std::uint8_t (&bytes)[16]) {
  std::array<std::uint8_t, 16> copy{};
  std::memcpy(copy.data(), bytes, copy.size());
  return Address::v6(copy);  // a v4-mapped form is the IPv4 address
}

bool is_documentation(const Address& address) {
  static const std::array<Prefix, 4> kRanges = {
      Prefix(Address::v4({192, 0, 2, 0}), 24, true), Prefix(Address::v4({198, 51, 100, 0}), 24, true),
      Prefix(Address::v4({203, 0, 113, 0}), 24, true), Prefix(Address::v6({0x20, 0x01, 0x0d, 0xb8}), 32, false)};
  return std::ranges::any_of(kRanges, [&](const Prefix& range) { return range.contains(address); });
}

bool is_probe_name(std::string_view name) {
  constexpr std::string_view kStart = "probe-", kEnd = ".namewall.invalid";
  if (!name.starts_with(kStart) || !name.ends_with(kEnd) || name.size() != kStart.size() + 12 + kEnd.size()) {
    return false;
  }
  return std::ranges::all_of(name.substr(kStart.size(), 12),
                             [](char c) { return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'); });
}

// Of a struct without padding.
template <typename Wire>
bool is_empty(const Wire& wire) {
  static const Wire kEmpty{};
  return std::memcmp(&wire, &kEmpty, sizeof wire) == 0;
}

bool is_plan(const WireProofPlan& plan) {
  const auto name = read_text(plan.refused_name);
  if (plan.flags > (kProvesLoopback | kRefusesPackets) || !name) return false;
  if (plan.refused_port != 0 && !is_documentation(address_of(plan.refused_address))) return false;
  return plan.resolver_port == 0 || is_probe_name(*name);
}

bool is_resolver(const WireResolver& wire) {
  return wire.port != 0 && wire.reserved[0] == 0 && wire.reserved[1] == 0 && wire.reserved[2] == 0;
}

bool is_process(const WireProcess& wire) { return wire.pid != 0 && wire.netns_inode != 0 && wire.reserved == 0; }

// `count` good ones, then nothing.
template <typename Wire, std::size_t kSize>
bool are_first(const Wire (&list)[kSize], std::uint32_t count, bool (*is_good)(const Wire&)) {
  return count <= kSize && std::ranges::all_of(std::span(list).first(count), is_good) &&
         std::ranges::all_of(std::span(list).subspan(count), [](const Wire& wire) { return is_empty(wire); });
}

// The fields that only the proxy's tasks have.
bool fits_proxy_task(const HelperRequest& request, HelperTask task) {
  const bool opens = task == HelperTask::kOpenProxy, checks = task == HelperTask::kCheckProcesses;
  if ((opens || checks) != (request.count != 0)) return false;
  if (!are_first(request.resolvers, opens ? request.count : 0, &is_resolver) ||
      !are_first(request.processes, checks ? request.count : 0, &is_process)) {
    return false;
  }
  if (task != HelperTask::kMakeSockets) return is_empty(request.sockets);
  const WireSocketCounts& counts = request.sockets;
  for (const std::uint32_t count : {counts.udp4, counts.tcp4, counts.udp6, counts.tcp6}) {
    if (count > kMaxSocketsPerRequest) return false;
  }
  const std::uint32_t sum = read_counts(request).sum();
  return sum != 0 && sum <= kMaxSocketsPerRequest;
}

bool fits_restriction(const HelperRequest& request, HelperTask task) {
  const WireRestriction& wire = request.restriction;
  WireRestriction of_task{};
  if (task == HelperTask::kMakeRestricted) of_task = {wire.number, wire.cgroup_id, wire.uid, wire.child, wire.flags, 0};
  if (task == HelperTask::kEnterRestricted) of_task.cgroup_id = wire.cgroup_id;
  const bool makes = task == HelperTask::kMakeRestricted, enters = task == HelperTask::kEnterRestricted;
  return std::memcmp(&wire, &of_task, sizeof wire) == 0 && (!makes || wire.number != 0) &&
         ((!makes && !enters) || wire.cgroup_id != 0) && wire.flags <= (kMayBeAbleToLeave | kInOwnNetns);
}

std::size_t descriptors_of(HelperTask task) {
  switch (task) {
    case HelperTask::kOpenSockets:
    case HelperTask::kOpenProxy:
    case HelperTask::kOpenTables:
    case HelperTask::kCheckProcesses:
    case HelperTask::kScanNamespaces:
      return 0;
    case HelperTask::kEnterRestricted:
      return 2;
    default:
      return 1;
  }
}

WireStep to_wire(const ProofStep& step) {
  return {static_cast<std::uint32_t>(step.outcome), step.error_number, step.took.count()};
}

tl::unexpected<Error> not_understood() { return fail(ErrorKind::kInvalid, "the helper's answer is not understood"); }

}  // namespace

HelperRequest make_request(HelperTask task, std::uint64_t id) {
  HelperRequest request{};
  request.version = kHelperVersion;
  request.task = static_cast<std::uint32_t>(task);
  request.id = id;
  return request;
}

HelperAnswer make_answer(const HelperRequest& request) {
  HelperAnswer answer{};
  answer.version = kHelperVersion;
  answer.task = request.task;
  answer.id = request.id;
  return answer;
}

HelperAnswer make_answer(const HelperRequest& request, const Error& error) {
  HelperAnswer answer = make_answer(request);
  answer.error = 1 + static_cast<std::uint32_t>(error.kind);
  answer.error_number = error.error_number;
  put_text(answer.what, error.what);
  return answer;
}

WireProofPlan to_wire(const ProofPlan& plan) {
  WireProofPlan wire{};
  if (plan.refused_address) {
    std::ranges::copy(plan.refused_address->bytes(), wire.refused_address);
    wire.refused_port = plan.refused_port.number;
  }
  if (plan.resolver) {
    std::ranges::copy(plan.resolver->address.bytes(), wire.resolver_address);
    wire.resolver_port = plan.resolver->port.number;
    put_text(wire.refused_name, plan.refused_name);
  }
  wire.flags = (plan.loopback ? kProvesLoopback : 0) | (plan.refuses_packets ? kRefusesPackets : 0);
  return wire;
}

ProofPlan read_plan(const WireProofPlan& wire) {
  ProofPlan plan;
  if (wire.refused_port != 0) {
    plan.refused_address = address_of(wire.refused_address);
    plan.refused_port = Port{wire.refused_port};
  }
  if (wire.resolver_port != 0) {
    plan.resolver = ResolverAddress{address_of(wire.resolver_address), Port{wire.resolver_port}};
    plan.refused_name = read_text(wire.refused_name).value_or("");
  }
  plan.loopback = (wire.flags & kProvesLoopback) != 0;
  plan.refuses_packets = (wire.flags & kRefusesPackets) != 0;
  return plan;
}

void put(HelperRequest& request, std::span<const ResolverAddress> resolvers) {
  request.count = static_cast<std::uint32_t>(std::min(resolvers.size(), kMaxPlacesPerRequest));
  for (std::size_t i = 0; i < request.count; ++i) {
    std::ranges::copy(resolvers[i].address.bytes(), request.resolvers[i].address);
    request.resolvers[i].port = resolvers[i].port.number;
  }
}

void put(HelperRequest& request, std::span<const ProcessInNetns> processes) {
  request.count = static_cast<std::uint32_t>(std::min(processes.size(), kMaxCheckedProcesses));
  for (std::size_t i = 0; i < request.count; ++i) request.processes[i] = {processes[i].inode, processes[i].pid, 0};
}

void put(HelperRequest& request, const SocketCounts& counts) {
  request.sockets = {counts.udp4, counts.tcp4, counts.udp6, counts.tcp6};
}

void put(HelperRequest& request, const RestrictOrder& order) {
  const std::uint32_t flags =
      (order.may_be_able_to_leave ? kMayBeAbleToLeave : 0) | (order.in_own_netns ? kInOwnNetns : 0);
  request.restriction = {order.number, order.cgroup_id, order.uid, order.child, flags, 0};
}

RestrictOrder read_order(const HelperRequest& request) {
  const WireRestriction& wire = request.restriction;
  return {wire.number,
          wire.cgroup_id,
          wire.uid,
          wire.child,
          (wire.flags & kMayBeAbleToLeave) != 0,
          (wire.flags & kInOwnNetns) != 0};
}

RestrictObstacle read_obstacle(const HelperAnswer& answer) {
  if (answer.obstacle > static_cast<std::uint32_t>(RestrictObstacle::kFrozen)) return RestrictObstacle::kNone;
  return static_cast<RestrictObstacle>(answer.obstacle);
}

std::vector<ResolverAddress> read_resolvers(const HelperRequest& request) {
  std::vector<ResolverAddress> resolvers;
  for (const WireResolver& wire : std::span(request.resolvers).first(request.count)) {
    resolvers.push_back({address_of(wire.address), Port{wire.port}});
  }
  return resolvers;
}

std::vector<ProcessInNetns> read_processes(const HelperRequest& request) {
  std::vector<ProcessInNetns> processes;
  for (const WireProcess& wire : std::span(request.processes).first(request.count)) {
    processes.push_back({wire.netns_inode, wire.pid});
  }
  return processes;
}

SocketCounts read_counts(const HelperRequest& request) {
  const WireSocketCounts& wire = request.sockets;
  return {wire.udp4, wire.tcp4, wire.udp6, wire.tcp6};
}

void put(HelperAnswer& answer, std::span<const Result<ProxySockets>> places) {
  answer.count = static_cast<std::uint32_t>(std::min(places.size(), kMaxPlacesPerRequest));
  for (std::size_t i = 0; i < answer.count; ++i) {
    if (places[i]) continue;
    answer.places[i] = {1 + static_cast<std::uint32_t>(places[i].error().kind), places[i].error().error_number};
  }
}

void put(HelperAnswer& answer, const NetnsScan& scan) {
  answer.count = static_cast<std::uint32_t>(std::min(scan.found.size(), kMaxScannedEntries));
  answer.is_complete = scan.is_complete ? 1 : 0;
  for (std::size_t i = 0; i < answer.count; ++i) {
    const NetnsScan::Found& found = scan.found[i];
    answer.found[i] = {found.cookie, {found.process.inode, found.process.pid, 0}};
  }
}

void put(HelperAnswer& answer, const ProofOutcome& outcome) {
  answer.proof = {static_cast<std::uint32_t>(outcome.obstacle),
                  outcome.error_number,
                  outcome.pid,
                  outcome.in_own_cgroup ? 1u : 0u,
                  {to_wire(outcome.address), to_wire(outcome.name), to_wire(outcome.loopback)},
                  outcome.took.count()};
}

void put(HelperAnswer& answer, const std::vector<ForeignUser>& users) {
  answer.count = static_cast<std::uint32_t>(std::min(users.size(), kMaxForeignUsers));
  for (std::size_t i = 0; i < answer.count; ++i) {
    WireForeignUser& wire = answer.users[i];
    wire.code = static_cast<std::uint32_t>(users[i].code);
    wire.processes = users[i].processes;
    wire.pid = users[i].pid;
    put_text(wire.detail, users[i].detail);
  }
}

void put(HelperAnswer& answer, const NetnsList& list) {
  answer.count = static_cast<std::uint32_t>(std::min(list.namespaces.size(), kMaxListedNamespaces));
  answer.is_complete = list.is_complete ? 1 : 0;
  answer.sockets_elsewhere = list.sockets_elsewhere;
  answer.raw_sockets = list.raw_sockets;
  for (std::size_t i = 0; i < answer.count; ++i) {
    answer.namespaces[i] = {list.namespaces[i].cookie, list.namespaces[i].pid, 0};
  }
}

Result<HelperTask> check_request(const HelperRequest& request, std::size_t descriptors) {
  const auto refuse = [](const char* what) { return fail(ErrorKind::kInvalid, what); };
  if (request.version != kHelperVersion) return refuse("the request is of another version");
  const auto task = std::ranges::find(kHelperTasks, static_cast<HelperTask>(request.task));
  if (task == std::end(kHelperTasks)) return refuse("the helper does not know this task");
  const bool opens =
      *task == HelperTask::kOpenSockets || *task == HelperTask::kOpenProxy || *task == HelperTask::kOpenTables;
  if (descriptors != descriptors_of(*task)) return refuse("the request has the wrong number of descriptors");
  const bool names_process = opens || *task == HelperTask::kInspect;
  const bool names_netns = opens || *task == HelperTask::kMakeSockets;
  if ((opens && request.pid == 0) || (!names_process && request.pid != 0) ||
      names_netns != (request.netns_cookie != 0)) {
    return refuse("the request's process and network namespace do not fit its task");
  }
  if (!fits_proxy_task(request, *task)) return refuse("the request has a list that is not its task's");
  if (!fits_restriction(request, *task)) return refuse("the request's restriction is not its task's");
  if (*task == HelperTask::kProve ? !is_plan(request.proof) : !is_empty(request.proof)) {
    return refuse("the request's proof is none that the helper runs");
  }
  return *task;
}

Result<void> check_answer(const HelperAnswer& answer, HelperTask task, std::size_t descriptors) {
  const auto what = read_text(answer.what);
  if (answer.version != kHelperVersion || answer.task != static_cast<std::uint32_t>(task) || !what ||
      answer.error > 1 + static_cast<std::uint32_t>(ErrorKind::kSystem)) {
    return not_understood();
  }
  if (answer.error != 0) {
    return fail(static_cast<ErrorKind>(answer.error - 1), std::string(*what), answer.error_number);
  }
  const bool fits = [&] {
    switch (task) {
      case HelperTask::kOpenSockets:
        return descriptors == 3 || descriptors == kMaxRefusalDescriptors;
      case HelperTask::kOpenProxy:
        return descriptors >= 2 && descriptors % 2 == 0;
      case HelperTask::kMakeSockets:
        return descriptors > 0;
      case HelperTask::kOpenTables:
        return descriptors == 3;
      case HelperTask::kMakeRestricted:
        return descriptors == 2;
      default:
        return descriptors == 0;
    }
  }();
  if (!fits) return not_understood();
  return {};
}

Result<ProofOutcome> read_outcome(const HelperAnswer& answer) {
  const WireProofOutcome& wire = answer.proof;
  ProofOutcome outcome;
  if (wire.obstacle > static_cast<std::uint32_t>(Obstacle::kOther) || wire.in_own_cgroup > 1) return not_understood();
  outcome.obstacle = static_cast<Obstacle>(wire.obstacle);
  outcome.error_number = wire.error_number;
  outcome.pid = wire.pid;
  outcome.in_own_cgroup = wire.in_own_cgroup == 1;
  outcome.took = std::chrono::nanoseconds(wire.took_ns);
  ProofStep* const steps[] = {&outcome.address, &outcome.name, &outcome.loopback};
  for (std::size_t i = 0; i < std::size(steps); ++i) {
    if (wire.steps[i].outcome > static_cast<std::uint32_t>(Outcome::kOtherwise)) return not_understood();
    *steps[i] = {static_cast<Outcome>(wire.steps[i].outcome), wire.steps[i].error_number,
                 std::chrono::nanoseconds(wire.steps[i].took_ns)};
  }
  return outcome;
}

Result<std::vector<ForeignUser>> read_users(const HelperAnswer& answer) {
  if (answer.count > kMaxForeignUsers) return not_understood();
  std::vector<ForeignUser> users;
  for (const WireForeignUser& wire : std::span(answer.users).first(answer.count)) {
    const auto detail = read_text(wire.detail);
    if (wire.code >= kForeignUserCodeCount || !detail) return not_understood();
    users.push_back({static_cast<ForeignUserCode>(wire.code), wire.processes, wire.pid, std::string(*detail)});
  }
  return users;
}

Result<NetnsList> read_namespaces(const HelperAnswer& answer) {
  if (answer.count > kMaxListedNamespaces || answer.is_complete > 1) return not_understood();
  NetnsList list;
  list.is_complete = answer.is_complete == 1;
  list.sockets_elsewhere = answer.sockets_elsewhere;
  list.raw_sockets = answer.raw_sockets;
  for (const WireNetns& wire : std::span(answer.namespaces).first(answer.count)) {
    list.namespaces.push_back({wire.pid, wire.cookie});
  }
  return list;
}

Result<NetnsScan> read_scan(const HelperAnswer& answer) {
  if (answer.count > kMaxScannedEntries || answer.is_complete > 1) return not_understood();
  NetnsScan scan;
  scan.is_complete = answer.is_complete == 1;
  for (const WireFound& wire : std::span(answer.found).first(answer.count)) {
    if (wire.cookie == 0 || !is_process(wire.process)) return not_understood();
    scan.found.push_back({wire.cookie, {wire.process.netns_inode, wire.process.pid}});
  }
  return scan;
}

Result<std::vector<Result<void>>> read_places(const HelperAnswer& answer, std::size_t resolvers,
                                              std::size_t descriptors) {
  if (answer.count != resolvers || answer.count > kMaxPlacesPerRequest) return not_understood();
  std::vector<Result<void>> places;
  std::size_t opened = 0;
  for (const WirePlace& wire : std::span(answer.places).first(answer.count)) {
    if (wire.error > 1 + static_cast<std::uint32_t>(ErrorKind::kSystem)) return not_understood();
    if (wire.error == 0) {
      ++opened;
      places.emplace_back();
    } else {
      places.push_back(fail(static_cast<ErrorKind>(wire.error - 1), "no proxy socket there", wire.error_number));
    }
  }
  if (descriptors != 2 + 2 * opened) return not_understood();
  return places;
}

}  // namespace namewall::agent
