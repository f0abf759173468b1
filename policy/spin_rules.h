// What a component's list becomes: rules of a native policy, each with its place in the manifest, and what has no
// native form with the reason. docs/spin.md says where the meaning differs from Spin's, and why.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/loaded.h"
#include "policy/policy.h"
#include "policy/spin_list.h"

namespace namewall {

struct SpinRequest {
  std::string file;            // the manifest, as messages name it
  std::string component = {};  // "": the only one
  bool strict_sockets = false;
  SpinVariables variables = {};  // over the defaults of the manifest
};

// One entry of the list, as written in the manifest.
struct SpinLine {
  std::string written;  // a quoted string, with what it was made from
  Origin origin;
  std::vector<SpinEntry> entries;  // Spin's own meaning, "*.spin.internal" spelled out
  std::vector<Rule> rules;         // at most one; `from` says the component
  std::vector<std::string> remarks;
  std::vector<std::string> oddities;  // what Spin lets through dead or surprising; warnings, too
};

struct SpinRules {
  std::string application;
  std::string component;
  std::vector<SpinLine> lines;
};

// Errors point into the manifest: it cannot be read, has no such component (they are listed) or several where none is
// asked for, an entry is none, a variable has no value.
Loaded<SpinRules> read_spin_rules(std::string_view manifest, const SpinRequest& request);

}  // namespace namewall
