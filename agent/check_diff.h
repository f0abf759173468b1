// `namewall check --diff OLD NEW`: two policy files, or two group files, compiled for this host and compared.
#pragma once

#include <string>

#include "policy/host_loader.h"
#include "policy/load_context.h"
#include "policy/resolv_conf.h"

namespace namewall::agent {

struct DiffFiles {
  std::string older, newer;
};

// The exit code: kExitWidens, kExitOk, kExitInputErrors where a file has errors, kExitOwnFailure where one cannot be
// read. The difference goes to standard output, diagnostics to standard error.
int run_check_diff(const DiffFiles& files, const HostPolicy& host, const ResolvConf& system, const LoadContext& context,
                   bool as_json);

}  // namespace namewall::agent
