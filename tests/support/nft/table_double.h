// What the table of the nft backend would say of a packet: its sets as the chains ask them, made by the backend's pure
// parts alone, with simulated time. One workload.
#pragma once

#include <map>
#include <vector>

#include "nft/workload_elements.h"
#include "policy/grant_table.h"
#include "policy/verdict.h"

namespace namewall::testing {

class TableDouble {
 public:
  // kLimit: nft cannot hold this policy.
  static Result<TableDouble> make(const PolicyImage& image);

  // What is known of an address has changed: what the backend would send is in the sets now.
  void update(const Address& address, const std::vector<Grant>& grants, BootTime now);
  // Renewals that were put off are made when they are due, up to `now`.
  void advance(const GrantTable& grants, BootTime now);

  // Whether every packet to it passes (audit mode: not looked at).
  bool allows(const Destination& to, LoopbackListener listener, BootTime now) const;
  int fixed_ranges_at(const Destination& to) const;  // that hold it: at most one

 private:
  TableDouble(const PolicyImage& image, nft::ImageElements elements);
  bool is_closed(const Destination& to) const;
  int ranges_at(const Destination& to, nft::SetId of_ipv4, nft::SetId of_ipv6) const;
  bool has(nft::SetId set, const nft::Bytes& key) const;
  bool is_learned(const Destination& to, BootTime now) const;

  PolicyImage image_;
  nft::ImageElements elements_;
  std::map<Address, std::vector<nft::HeldPart>> held_;
  std::map<Address, BootTime> due_;
};

}  // namespace namewall::testing
