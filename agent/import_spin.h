// A component of a Spin manifest as a native policy, and what Spin and that policy say of one target. Pure.
#pragma once

#include <optional>
#include <string>

#include "agent/import_command.h"
#include "policy/spin_rules.h"

namespace namewall::agent {

struct SpinImportOptions {
  std::string component = {};  // "": the only one
  bool strict_sockets = false;
  bool strict = false;  // what Spin lets through dead or surprising is refused
  SpinVariables variables = {};
};

// Refused are the manifest's mistakes and, with `strict`, oddities.
ImportedPolicy import_spin(const ImportInput& input, const SpinImportOptions& options);

// What one of the two says of a target.
struct SpinTargetVerdict {
  bool allowed = false;
  std::string why;  // which entry or rule, with its place, or that there is none
};
struct SpinTargetAnswer {
  SpinTargetVerdict spin, native;
};

// `target`: a URL, `host:port` (of `https`), or "self". Errors: the manifest's, or that the target cannot be read.
Result<SpinTargetAnswer> judge_spin_target(const ImportInput& input, const SpinImportOptions& options,
                                           const std::string& target);

}  // namespace namewall::agent
