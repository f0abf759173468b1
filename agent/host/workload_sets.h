// What the model holds of one workload's grants, for `namewall sets`: pure, from what the enforcer told.
#pragma once

#include <memory>
#include <vector>

#include "agent/host/sets_view.h"
#include "agent/host/workload_registry.h"
#include "nft/workload_elements.h"
#include "policy/backend.h"

namespace namewall::agent {

struct WorkloadSets {
  SetsWorkload workload;
  std::vector<SetsGrant> grants;  // the live ones
};

class SetsBuilder {
 public:
  WorkloadSets build(const Workload& workload, const std::vector<GrantRecord>& records, BootTime now);

 private:
  void use(const std::shared_ptr<const PolicyImage>& image);

  // Of the image that was asked for last: workloads of one policy come one after the other.
  std::shared_ptr<const PolicyImage> image_;
  nft::ImageElements elements_;
  bool has_elements_ = false;
};

}  // namespace namewall::agent
