// The proxy's places as the kernel knows them: both directions, kept in step.
#pragma once

#include <vector>

#include "policy/proxy_place.h"
#include "policy/result.h"

namespace namewall::bpf {

class ProxyPlaces {
 public:
  ProxyPlaces(int ports_fd, int resolvers_fd) : ports_fd_(ports_fd), resolvers_fd_(resolvers_fd) {}

  // Questions to the resolver go there from now on; not any more to another place that it had.
  Result<void> add(const ProxyPlace& place) const;
  // What is not there is no error.
  Result<void> remove(const ProxyPlace& place) const;
  std::vector<ProxyPlace> list() const;

 private:
  int ports_fd_, resolvers_fd_;
};

}  // namespace namewall::bpf
