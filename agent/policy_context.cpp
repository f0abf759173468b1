#include "agent/policy_context.h"

namespace namewall::agent {

PolicyContext PolicyContext::read(const HostPolicy& host) {
  PolicyContext context;
  context.groups_ = host.groups;
  return context;
}

}  // namespace namewall::agent
