// Reads the policy files of a folder (*.toml, *.json) and host.toml as bytes. Nothing is judged here
// (folder_snapshot.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "policy/result.h"

namespace namewall::agent {

inline constexpr const char* kPolicyFolder = "/etc/namewall/policies.d";
inline constexpr std::size_t kMaxPolicyFile = 1u << 20;  // bytes, as kMaxConfigBytes
inline constexpr std::size_t kMaxPolicyFiles = 4096;

struct FileText {
  std::string name;  // as messages show it: "builder.toml" in the folder, "host.toml"
  // kLimit: larger than kMaxPolicyFile; kInvalid: no regular file; kPermission: others than root may write it
  Result<std::string> text;
};

struct FolderContents {
  std::vector<FileText> files;   // sorted by name, at most kMaxPolicyFiles
  std::optional<FileText> host;  // none: there is no such file
  std::vector<std::string>
      errors;  // of the folder itself: it cannot be read, others may write it, it has too many files
};

// Hidden files (".#x.toml", "..data") are no policy files; a symbolic link counts as what it points to. A file that
// goes while it is read is one that was not there. Never blocks on a FIFO or device. A folder that is not there is
// empty.
FolderContents read_folder(const std::string& directory, const std::string& host_file);

}  // namespace namewall::agent
