// The host's own addresses, which a DNS answer never teaches, and the news that they changed.
#pragma once

#include <vector>

#include "policy/address.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class OwnAddresses {
 public:
  static Result<OwnAddresses> open();

  // Of every interface in this network namespace, each once.
  Result<std::vector<Address>> read() const;

  int fd() const { return fd_.get(); }  // readable when addresses may have changed
  // Empties fd(): whether addresses may have changed. A lost message counts as a change.
  bool consume_changes();

 private:
  OwnAddresses() = default;
  FileDescriptor fd_;
};

}  // namespace namewall::agent
