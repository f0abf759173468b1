// What the control socket may ask of the daemon. The seam between the HTTP server and the daemon: the daemon implements
// it, tests of the server fake it. Every call returns at once: changes are in the kernel when they return.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/host/host_view.h"
#include "agent/host/workload_sets.h"
#include "policy/result.h"

namespace namewall::agent {

// Who asks, from the connection itself.
struct Peer {
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string executable;          // /proc/PID/exe, or "called X": its own word; "": unknown
  std::uint64_t cgroup_id = 0;     // of the process that connected, by its pidfd; 0: unknown
  std::string cgroup;
  int pidfd = -1;  // of that process, for as long as the call lasts; -1: there is none
};

// PUT: exactly one of `policy` and `policy_text`. PATCH: `add_*` and `remove_*` on the workload's own policy.
struct WorkloadRequest {
  std::string cgroup;              // path; or
  std::uint64_t cgroup_id = 0;
  std::string policy;              // name of a policy of the folder
  std::string policy_text;         // inline, TOML or JSON text
  std::map<std::string, std::string> labels;
  double ttl_s = -1;               // -1: none. After it the workload is refused everything (never set free)
  bool allow_partial = false;
  std::string reason;              // for the record
};
struct RuleChange {
  std::vector<std::string> add_allow, remove_allow, add_deny, remove_deny;
  std::string reason;
};

// The caller gives up reach, for itself or one of its children.
struct RestrictRequest {
  std::vector<std::string> allow;  // endpoints; none: it reaches nothing
  std::uint32_t child = 0;         // in the caller's own pid namespace; 0: the caller
  bool cooperative = false;        // it has taken its own ways out away
  std::string label;
};
// What a kConflict of Host::restrict was.
enum class RestrictObstacle { kNone, kDelegated, kThreaded, kFrozen };
struct RestrictOutcome {
  Result<RestrictView> view;
  RestrictObstacle obstacle = RestrictObstacle::kNone;
};

struct EventFilter {
  std::string workload;            // "": all
  std::string reason;              // code; "": all
  std::uint64_t since_sequence = 0;  // only later ones
  double since_s = -1;               // and only those at most that old; -1: of any age
};

class Host {
 public:
  virtual ~Host() = default;

  virtual StatusView status() = 0;
  virtual std::vector<WorkloadView> list() = 0;
  virtual Result<WorkloadDetail> show(const std::string& workload) = 0;
  virtual Result<std::vector<GrantView>> grants(const std::string& workload) = 0;
  // What the model holds of a workload's grants, live ones; and the names of those that are armed.
  virtual Result<WorkloadSets> sets(const std::string& workload) = 0;
  virtual std::vector<std::string> armed_workloads() = 0;
  virtual SetsHost sets_of_host() = 0;
  virtual std::string metrics() = 0;  // Prometheus text
  virtual SelfView self(const Peer& peer) = 0;
  // workload "": the peer's own. target "": the last refusal.
  virtual Result<ExplainView> explain(const Peer& peer, const std::string& workload, const std::string& target) = 0;

  // kNotFound: no such cgroup, policy or workload. kInvalid: the policy has errors (what: every line). kConflict: the name
  // or the cgroup is in other use, or the workload would be partial. kLimit: no room.
  virtual Result<ChangeView> put(const Peer& peer, const std::string& workload, const WorkloadRequest& request) = 0;
  virtual Result<ChangeView> patch(const Peer& peer, const std::string& workload, const RuleChange& change) = 0;
  virtual Result<ChangeView> remove(const Peer& peer, const std::string& workload, const std::string& reason) = 0;
  // kPermission: no process of the peer's. kNotFound: it has ended. kLimit: a bound. kUnsupported: it is switched off.
  virtual RestrictOutcome restrict(const Peer& peer, const RestrictRequest& request) = 0;
  virtual ReloadView reload(const Peer& peer) = 0;
  virtual Result<ProofView> prove(const std::string& workload) = 0;
  // Rebuilds what the kernel holds otherwise than the model.
  virtual Result<RepairView> repair(const Peer& peer) = 0;
  // Lifts enforcement of one workload, or of all ("").
  virtual Result<ChangeView> teardown(const Peer& peer, const std::string& workload, const std::string& reason) = 0;

  // Recent events that match, oldest first; at most `limit`. Streams poll it with the sequence of the last they sent.
  virtual std::vector<EventView> events(const EventFilter& filter, std::size_t limit) = 0;
  virtual std::uint64_t newest_event() const = 0;
  virtual int event_signal_fd() const = 0;  // readable (eventfd) when newest_event() has grown
};

}  // namespace namewall::agent
