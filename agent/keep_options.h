// The words of `--keep`: which of the things that `namewall run` closes around a command stay open for it. Everything
// is closed unless named. docs/run.md says what each closes and what breaks.
#pragma once

#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>

#include "policy/result.h"

namespace namewall::agent {

enum class Keep : std::size_t {
  kPrivileges,    // "privs": setuid programs gain their privileges (no no_new_privs)
  kCapabilities,  // "caps": the capability bounding set, and root's capabilities
  kFamilies,      // "families": sockets other than AF_UNIX, AF_INET, AF_INET6 and NETLINK_ROUTE
  kIoUring,       // "io_uring"
  kBpf,           // "bpf": bpf(2)
  kForeignAbis,   // "abis": i386 and x32 system calls
  kTerminal,      // "tty": typing into the terminal
  kCgroupfs,      // "cgroupfs": cgroup file systems stay writable
  kBpffs,         // "bpffs": /sys/fs/bpf and /run/namewall
  kDescriptors,   // "fds": inherited sockets, directories and kernel objects
  kNscd,          // "nscd"
  kResolved,      // "resolved"
  kAvahi,         // "avahi"
  kSssd,          // "sssd"
  kDocker,        // "docker"
  kPodman,        // "podman"
  kContainerd,    // "containerd"
  kSystemBus,     // "dbus"
  kCount,
};

class KeepSet {
 public:
  bool has(Keep what) const { return bits_.test(static_cast<std::size_t>(what)); }
  void add(Keep what) { bits_.set(static_cast<std::size_t>(what)); }
  // One word, or several with commas. Groups: "seccomp" (families, io_uring, bpf, abis, tty), "sockets" (nscd to dbus),
  // "mounts" (cgroupfs, bpffs and sockets). kInvalid names the accepted words.
  Result<void> add_words(std::string_view words);

 private:
  std::bitset<static_cast<std::size_t>(Keep::kCount)> bits_;
};

// "privs, caps, ..., sockets, mounts", for messages and --help.
std::string list_keep_words();

}  // namespace namewall::agent
