// The start of the daemon as far as it needs root: what is opened there, and what is left afterwards.
#pragma once

#include <cstdint>
#include <memory>

#include "agent/credentials.h"
#include "agent/host/daemon_options.h"
#include "agent/host/host_backends.h"
#include "agent/host/privileged_helper.h"
#include "agent/own_addresses.h"
#include "agent/refusal_answer.h"
#include "nft/host_enforcer.h"
#include "policy/result.h"

namespace namewall::agent {

struct PrivilegedStart {
  Credentials user;
  PrivilegedHelper helper;
  OwnAddresses addresses;
  RefusalAnswerer answerer;
  std::uint64_t netns = 0;  // cookie of the daemon's own network namespace
  std::unique_ptr<HostBackends> enforcer;
  nft::HostEnforcer* tables() const { return static_cast<nft::HostEnforcer*>(enforcer->opened(Backend::kNft)); }
};

// Which backends: that of host.toml and those of its policies, and those that an earlier daemon left something of.
//
// Opens all that, makes the daemon's directories its user's, and becomes that user with the daemon's capabilities. On
// an error the caller must exit; what is enforced stays enforced. kNotFound: no such user; kPermission: a right is
// missing.
Result<PrivilegedStart> start_privileged(const DaemonOptions& options);

}  // namespace namewall::agent
