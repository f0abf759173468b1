// Network namespaces in which processes of workloads are that nftables enforces: each needs a table of its own. Found
// by a look at all processes of the host (the helper's), every kLookInterval and at once when workloads were armed that
// have some; entered by sockets that the helper opens there.
//
// Between two looks a process that has moved is held by nothing: a workload that is found in a namespace of its own is
// partial, with a sentence, for as long as it is there; with another one where the namespace cannot be entered.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/host/host_parts.h"
#include "nft/host_enforcer.h"

namespace namewall::agent {

class TableNamespaces {
 public:
  static constexpr Nanoseconds kLookInterval = std::chrono::seconds(1);
  static constexpr Nanoseconds kRetryAfter = std::chrono::seconds(5);
  static constexpr std::size_t kMaxNamespaces = 1024;

  struct Uses {
    std::function<nft::HostEnforcer*()> enforcer;  // nullptr: nftables enforces nothing here
    // The process of this workload is in that namespace, and needs the DNS proxy there.
    std::function<void(std::uint64_t cookie, std::uint32_t pid, const Workload&)> serve_dns;
  };

  // All outlive this.
  TableNamespaces(HostParts& parts, Uses uses);
  ~TableNamespaces();
  TableNamespaces(const TableNamespaces&) = delete;

  void look_soon() { next_look_ = BootTime{}; }
  void tick(BootTime now);
  // Cookies of those that are entered, and what stands against the others, a sentence each.
  std::vector<std::uint64_t> entered() const;
  std::vector<std::string> warnings() const;

 private:
  struct Inhabitants {
    std::uint32_t pid = 0;  // of one of them
    std::set<std::uint64_t> cgroup_ids;
  };
  struct Refused {
    BootTime until;
    std::string why;
  };
  using Scan = std::map<std::uint64_t, Inhabitants>;  // by cookie

  bool has_workloads() const;
  void take_scan(const NetnsScan& scan);
  void open(std::uint64_t cookie, const Inhabitants& found);
  void enter(std::uint64_t cookie, Result<nft::NetnsSockets> sockets);
  void refuse(std::uint64_t cookie, const std::string& why);
  void tell_workloads(bool is_complete);

  HostParts& parts_;
  Uses uses_;
  Scan found_;  // of the newest look, only of workloads that nftables enforces
  std::map<std::uint64_t, std::set<std::uint64_t>> entered_;  // by cookie, whom the table there has
  std::set<std::uint64_t> opening_;
  std::map<std::uint64_t, Refused> refused_;
  BootTime next_look_;
  bool is_looking_ = false;
  std::shared_ptr<TableNamespaces*> self_;  // answers of the helper may come after the end
};

}  // namespace namewall::agent
