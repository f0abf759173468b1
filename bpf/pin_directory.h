// The directory of pins: its owner, its one holder, and what lies below. All access goes through its open descriptor,
// so that a renamed directory is still ours to work in and to put back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::bpf {

struct PinOwner {
  std::uint32_t uid = 0, gid = 0;
};

class PinDirectory {
 public:
  // Makes the directory (0700, owned by `owner`) where it is missing, and holds it until the object goes. kConflict: it
  // is somebody else's, a symbolic link, or held by another process; kUnsupported: it does not lie in a BPF file
  // system.
  static Result<PinDirectory> open(const std::string& path, PinOwner owner);

  const std::string& path() const { return path_; }

  // Below, paths are relative to the directory. Everything that is made is 0700 or 0600 and owned by `owner`.
  Result<void> make_directory(const std::string& relative) const;  // one that is there already is no error
  Result<void> pin(int fd, const std::string& relative) const;     // in place of a former pin
  Result<FileDescriptor> open_pin(const std::string& relative) const;
  Result<void> rename(const std::string& from, const std::string& to) const;
  Result<void> remove(const std::string& relative) const;            // a pin; none is no error
  Result<void> remove_tree(const std::string& relative) const;       // "": everything, but the directory itself
  std::vector<std::string> list(const std::string& relative) const;  // sorted; of a missing directory none
  // Whether a pin or directory is there with the owner and mode that it was given.
  bool is_intact(const std::string& relative) const;

  // Compares the directory's owner, mode and place with what they should be.
  struct Inspection {
    std::vector<std::string> repaired;  // a sentence each
    std::vector<std::string> unrepaired;
    bool is_new = false;  // it was deleted and made anew: everything must be pinned again
  };
  Inspection inspect();

  // Removes the directory itself, which must be empty.
  Result<void> remove_itself();

 private:
  PinDirectory(std::string path, PinOwner owner, FileDescriptor fd)
      : path_(std::move(path)), owner_(owner), fd_(std::move(fd)) {}
  std::string path_of(const std::string& relative) const;
  Result<void> own(const std::string& relative, std::uint32_t mode) const;

  std::string path_;
  PinOwner owner_;
  FileDescriptor fd_;
};

}  // namespace namewall::bpf
