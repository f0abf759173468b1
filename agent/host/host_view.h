// What the host daemon tells of itself: plain values, the same in C++, in the HTTP API's JSON (the field names are the
// JSON keys, host_json.h) and in the commands. Times are RFC 3339 UTC with milliseconds, durations say their unit.
// Strings that a workload chose (names, commands) are raw here; whoever shows them escapes them (policy/escape.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace namewall::agent {

// State of a workload, worst first where several hold: "failed" (should be armed and is not: `why` says what),
// "adopted" (armed, and neither a file nor a call knows it any more), "partial" (armed, and something lies outside what
// the kernel can hold), "judging" (armed, strict, older sockets not judged yet), "audit" (everything passes),
// "enforcing".
struct WorkloadView {
  std::string name;    // "builder"; of a glob or template "builder:job-17" (path below the glob's fixed part)
  std::string cgroup;  // path in the cgroup v2 hierarchy, "/ci.slice/job-17"
  std::uint64_t cgroup_id = 0;
  std::string state;
  std::vector<std::string> why;  // a sentence each
  std::string policy;            // name of its policy
  // "file", "api", "command" (namewall arm), "restrict" (by the process itself), "adopted" (nothing but the kernel knows
  // it)
  std::string origin;
  std::string file;              // of origin "file"
  std::string mode;              // "enforce", "audit"
  std::string policy_sha256;     // of the canonical form
  std::uint32_t generation = 0;
  std::uint32_t workload_id = 0;
  std::uint32_t rules = 0;   // allow and deny
  std::uint32_t grants = 0;  // live
  std::uint32_t max_addresses = 0;
  std::uint64_t refusals = 0;
  std::uint64_t lookups = 0;
  std::string last_refusal;  // one line, "" if none
  std::string last_refusal_at;
  std::string armed_at;
  double unarmed_ms = -1;    // between the cgroup's appearance and its arming; 0 under a template; -1: it was there
  double proved_ago_s = -1;  // since the last live proof that passed; -1: none
  std::string proof;         // "passed", "failed: ...", "not run: ..."
  std::map<std::string, std::string> labels;
  double ttl_left_s = -1;  // of a workload by call; -1: none
  std::string dns;         // which way its DNS over UDP goes: "kernel", "proxy"; TCP always by the proxy
  std::string dns_why;     // why by the proxy, a clause
  std::string backend;     // what enforces it: "bpf", "nft"
};

struct RuleView {
  std::string rule;        // as written, "https://registry.npmjs.org"
  std::string action;      // "allow", "deny", "host deny"
  std::string origin;      // "builder.toml:4:12"
  bool dead = false;       // another rule decides everything it says
  std::string decided_by;  // of a dead rule: that rule
};

struct ResolverView {
  std::string address;  // "10.0.0.2:53"
  std::string source;   // "/etc/resolv.conf", "policy"
};

struct GrantView {
  std::string name;
  std::string address;
  std::string ports;        // "tcp:443"
  std::string state;        // "live", "expired", "remembered: <reason code>"
  double seconds_left = 0;  // negative: over since
  std::uint32_t connects = 0;
  std::vector<std::string> shared_with;  // other names of this host's grants (any workload) on that address
};

struct WorkloadDetail {
  WorkloadView workload;
  std::string policy_text;  // canonical form
  std::vector<RuleView> rules;
  std::vector<ResolverView> resolvers;
  std::vector<GrantView> grants;
  std::map<std::string, std::uint64_t> counters;            // names of bpf/abi.h
  std::map<std::string, std::uint64_t> refusals_by_reason;  // reason codes, those that are not 0
  std::vector<std::string> unattributed_flows;              // "tcp 10.0.0.5:4711 -> 203.0.113.9:443"
  std::map<std::string, std::uint64_t> proxy;               // what the DNS proxy counted for it since the daemon began
};

// One event of the stream: a refusal, a withheld answer, or a notice of the daemon.
struct EventView {
  std::uint64_t sequence = 0;  // of this daemon's life, from 1
  std::string time;
  std::string kind;  // "refused", "withheld", "audit", "notice"
  std::string workload;
  std::string policy;
  std::uint32_t generation = 0;
  std::string hook;    // "connect", "send", "lookup", "answer", "packet", "socket", "bind", "inbound"
  std::string reason;  // code of policy/reason.h; of a notice its own code
  std::string sentence;
  std::string name;  // question, or the name last seen for the address
  std::string address;
  std::uint32_t port = 0;
  std::string protocol;  // "tcp", "udp", "icmp"
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::string command;
  std::string rule;            // that decided, with its origin; "" where none did
  std::string permit;          // the `allow` entry that would permit it; "" where none can
  std::uint64_t left_out = 0;  // events of this workload dropped before this one
  bool retry = false;          // whether trying again can help
};

struct PolicyFileView {
  std::string file;
  std::string policy;
  std::string state;   // "in force", "kept" (broken now: the version before stays), "broken" (never was in force)
  std::string error;   // of the newest version, "file:line:column: ..."
  std::string sha256;  // of what is in force
  double age_s = 0;    // since what is in force was loaded
  std::uint32_t workloads = 0;
};

struct BoundView {
  std::string bound;  // "grants of builder:job-3"
  double used = 0, limit = 0;
};

// Where the DNS proxy listens.
struct ProxyNetnsView {
  std::uint64_t netns = 0;             // cookie of the network namespace
  bool own = false;                    // the daemon's
  std::vector<std::string> resolvers;  // that it stands in for, "10.0.0.2:53"
  std::uint32_t pid = 0;               // a process of a workload in it; 0: own, or being looked for
};

struct StatusView {
  std::string version;
  std::uint32_t pid = 0;
  std::string started_at;
  std::string state;             // "enforcing", "partial", "failing"
  std::vector<std::string> why;  // a sentence each
  std::uint32_t workloads = 0;
  std::map<std::string, std::uint32_t> workloads_by_state;
  std::vector<PolicyFileView> policies;
  std::vector<BoundView> bounds;  // at 80 % or more
  std::vector<std::string> warnings;
  double oldest_proof_s = -1;  // of all workloads; -1: none proved yet
  std::uint64_t reloads = 0, reload_failures = 0;
  std::string last_reload_at;
  std::uint64_t damage_repaired = 0;
  std::string last_damage;
  std::string last_damage_at;
  std::uint64_t events = 0, events_left_out = 0;
  double unarmed_ms_last = -1, unarmed_ms_max = -1;  // of watched globs
  std::uint32_t grants_adopted = 0;                  // at start
  double adoption_gap_ms = 0;                        // during which no daemon read events; enforcement had none
  std::uint64_t generation = 0;                      // counts every change of any workload
  std::vector<ProxyNetnsView> proxy_namespaces;
  std::map<std::string, std::uint64_t> proxy;  // what the DNS proxy counted
};

// POST /v1/explain and `namewall why`
struct ExplainView {
  std::string workload;
  std::string target;
  bool allowed = false;
  std::string reason;             // code
  std::vector<std::string> walk;  // the verdict's steps, a line each
  std::string permit;
  bool retry = false;
};

// GET /v1/self
struct SelfView {
  bool confined = false;
  std::string workload;
  std::string state;
  std::string policy_text;
  std::uint32_t generation = 0;
  std::vector<EventView> refusals;  // the newest last, at most 32
};

// Answer of PUT, PATCH and DELETE: the kernel holds it.
struct ChangeView {
  std::string workload;
  std::string cgroup;
  std::uint64_t cgroup_id = 0;
  std::uint32_t generation = 0;
  std::string state;
  std::vector<std::string> why;
  std::vector<std::string> lifted;  // of DELETE and teardown: what is no longer held
};

// Answer of POST /v1/restrict: the process is held.
struct RestrictView {
  std::string workload;
  std::string cgroup;
  std::uint64_t cgroup_id = 0;
  std::string state;
  std::vector<std::string> why;
  std::vector<std::string> without_effect;  // a sentence for each endpoint that what is above does not permit
  bool cooperative = false;
  std::uint32_t depth = 0;  // restrictions in one another, with this one
};

struct ReloadView {
  bool ok = false;
  std::vector<std::string> errors;  // "file:line:column: ..."
  std::vector<std::string> warnings;
  std::uint32_t armed = 0, replaced = 0, let_go = 0, unchanged = 0;
};

// POST /v1/sets/repair
struct RepairView {
  std::uint64_t unknown = 0;         // elements that the model did not know: removed
  std::uint64_t missing = 0;         // elements that the kernel had lost: put back
  std::vector<std::string> changed;  // what else somebody had changed, a sentence each: rebuilt
  std::vector<std::string> unrepaired;
};

struct ProofView {
  std::string workload;
  bool passed = false;
  std::vector<std::string> steps;  // "refused address 198.51.100.1:443: refused in 0.1 ms"
};

}  // namespace namewall::agent
