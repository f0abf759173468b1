// The model's grants of every workload as a body: a workload is read when its turn comes, and made into text piece by
// piece.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/control/reply.h"
#include "agent/host/host.h"

namespace namewall::agent {

class SetsStream : public BodySource {
 public:
  // `ticket` is held until the stream is gone. `host` outlives it.
  SetsStream(Host& host, SetsHost first, std::vector<std::string> workloads, std::shared_ptr<void> ticket)
      : host_(host), first_(std::move(first)), workloads_(std::move(workloads)), ticket_(std::move(ticket)) {}

  // Of one workload, which was read already.
  SetsStream(Host& host, WorkloadSets sets, std::shared_ptr<void> ticket)
      : host_(host), ticket_(std::move(ticket)), sets_(std::move(sets)), is_begun_(true) {}

  State next(std::string& piece) override;

  static constexpr std::size_t kGrantsOfPiece = 512;

 private:
  Host& host_;
  std::optional<SetsHost> first_;
  std::vector<std::string> workloads_;
  std::shared_ptr<void> ticket_;
  std::size_t at_ = 0;
  WorkloadSets sets_;
  std::size_t grant_ = 0;  // of sets_
  bool is_begun_ = false;
};

}  // namespace namewall::agent
