// `run --save FILE`. The directory is opened before CMD starts and the file appears in it by rename at the end: CMD,
// who may own the directory, cannot have namewall write anywhere else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/refusal_tally.h"
#include "policy/file_descriptor.h"
#include "policy/policy.h"
#include "policy/result.h"

namespace namewall::agent {

// The canonical policy, then, as comments, what would permit each refusal. A policy without a name (rules that came
// from
// --allow) gets that of the file: "builder" for "ci/builder.toml". Pure.
std::string saved_policy_text(Policy policy, const RefusalTally& tally, std::string_view path);

class PolicySave {
 public:
  // kConflict: the file exists and is not empty: namewall never overwrites what it did not write in this run.
  static Result<PolicySave> open(const std::string& path);
  // Whole or not at all. kConflict as above, when the file has appeared since.
  Result<void> write(const std::string& text) const;
  const std::string& path() const { return path_; }

 private:
  PolicySave(FileDescriptor directory, std::string name, std::string path)
      : directory_(std::move(directory)), name_(std::move(name)), path_(std::move(path)) {}
  // Error: something that is not an empty regular file has the name.
  Result<bool> exists_empty() const;

  FileDescriptor directory_;
  std::string name_;
  std::string path_;
};

}  // namespace namewall::agent
