// A policy as loaded from a file, a call or the command line: values, with the position of everything that a message
// may have to point at. `host.toml` is a HostPolicy.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/boot_time.h"
#include "policy/endpoint.h"
#include "policy/resolv_conf.h"

namespace namewall {

struct Origin {  // where something was written: "builder.toml:4:12", "--allow"
  std::string file;
  std::uint32_t line = 0;    // 1-based; 0: no position (command line)
  std::uint32_t column = 0;  // 1-based
  std::string to_string() const;
};

struct Rule {
  Endpoint endpoint;
  Origin origin;
  std::string from = {};  // what brought it in: "@npm", "spin component `api`", "block_networks"; "": written as it is
};

// A test inside a policy file: what the policy must say of a target, written as for `explain`.
struct Expectation {
  std::string target;
  bool allowed = false;
  Origin origin;
};

// Where a policy's Spin rules come from; they are in `allow`, expanded.
struct SpinSource {
  std::string manifest;   // path, as written
  std::string component;  // "": the only one
  bool strict_sockets = false;
  Origin origin;
};

enum class Mode { kEnforce, kAudit };
enum class Backend { kBpf, kNft };  // what enforces a policy
enum class Loopback { kNone, kOwn, kAny };
enum class Learn { kKernel, kProxy };
// kUntilNextAnswer: until the same workload's next answer to the same question name and address family: then only the
// addresses of that one count (one in both stays). No TTL ends it.
enum class Retain { kTtl, kWorkload, kUntilNextAnswer };
enum class RefuseWith { kNxdomain, kRefused, kNodata };
enum class Resolve { kWorkload, kAgent };        // kAgent: the agent looks the name up ahead of expiry, unasked
enum class Hints { kTeach, kStrip };             // address hints of HTTPS and SVCB answers
enum class Ech { kKeep, kStrip };                // the ECH keys of such answers (RFC 9460, "ech")
enum class UnarmedChildren { kWatch, kRefuse };  // what a watched glob's new cgroups may do until they are armed

// What one workload may ask of the proxy (fresh names: of the kernel path, too). At a bound: REFUSED with an Extended
// DNS Error.
struct DnsBounds {
  std::uint32_t in_flight = 256;                // unanswered questions
  std::uint32_t per_second = 2000;              // questions; a second's worth may come at once
  std::uint32_t fresh_per_second = 100;         // names below a wildcard that it never asked before; likewise
  std::uint32_t connections = 32;               // TCP, at a time
  Nanoseconds idle = std::chrono::seconds(10);  // of a TCP connection
  friend bool operator==(const DnsBounds&, const DnsBounds&) = default;
};

struct DnsSettings {
  bool resolvers_from_system = true;       // `resolvers` contains "system"
  std::vector<ResolverAddress> resolvers;  // the others
  bool search_from_system = true;
  std::vector<DomainName> search;
  Nanoseconds min_ttl = std::chrono::seconds(5);
  Nanoseconds max_ttl = std::chrono::hours(24);
  Nanoseconds grace = std::chrono::seconds(90);
  Retain retain = Retain::kTtl;
  std::uint32_t max_addresses = 1024;
  RefuseWith refuse_with = RefuseWith::kNxdomain;
  std::optional<Learn> learn;  // as written; none: "auto". The image says what it got, and why
  Origin learn_origin;
  Resolve resolve = Resolve::kWorkload;  // of every exact name of `allow`; one rule: ?resolve=agent
  Hints hints = Hints::kTeach;
  Ech ech = Ech::kKeep;
  bool cache = true;  // of the proxy
  DnsBounds bounds;
};

struct Policy {
  std::string name;
  std::vector<std::string> cgroups;  // paths or globs, as written; each a CgroupPattern
  UnarmedChildren unarmed_children = UnarmedChildren::kWatch;
  std::vector<std::string> guard_shared;  // shared cgroups (workload_plan.h) where kRefuse is meant
  bool cut_unattributed = false;          // flows that no name explains end with a change of policy
  std::optional<Backend> backend;         // as written; none: the host's
  Mode mode = Mode::kEnforce;
  std::vector<Rule> allow;
  std::vector<Rule> deny;
  PortSet listen;  // TCP and UDP
  Loopback loopback = Loopback::kOwn;
  DnsSettings dns;
  std::optional<SpinSource> spin;
  std::vector<Expectation> expect;
  Origin origin;
};

// A named list of endpoints, "@npm" in an `allow` list: shipped, or the operator's own of host.toml.
struct Group {
  std::string name;  // without the "@"
  std::string version;
  std::vector<Rule> rules;
  Origin origin;
};

// What the host denies beside `deny`: block_networks and [limits]. Unlike `deny` it spares the resolvers that a policy
// trusts, on their ports: a host that closes private networks still has its resolver in one.
struct HostBlock {
  Rule rule;                        // a deny; `from` names the key: "block_networks", "limits.udp"
  std::vector<std::string> exempt;  // policies that it does not hold
};

// limits.listen: nobody outside and inside reaches a listener of the workload, whatever `listen` and `loopback` say.
struct ListenLimit {
  bool is_denied = false;
  std::vector<std::string> exempt;  // policies that it does not hold
  Origin origin;
};

enum class Profile { kNone, kSpin };

struct HostPolicy {
  Backend backend = Backend::kBpf;   // of policies that do not say
  Profile profile = Profile::kNone;  // what [limits] say where they say nothing
  std::vector<Rule> deny;
  std::vector<HostBlock> blocks;
  ListenLimit listen_limit;
  std::vector<Rule> private_names;  // patterns whose names may have private answers (endpoint ports ignored)
  std::vector<Group> groups;        // the operator's own
  Origin origin;
};

}  // namespace namewall
