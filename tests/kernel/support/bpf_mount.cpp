#include "tests/kernel/support/bpf_mount.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace namewall::kernel_tests {
namespace {

std::string mount_bpf() {
  std::string point = "/tmp/namewall-test-bpf-XXXXXX";
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mkdtemp(point.data()) == nullptr || mount("bpf", point.c_str(), "bpf", 0, "mode=1777") != 0) {
    ADD_FAILURE() << "cannot mount a BPF file system: " << std::strerror(errno);
    return {};
  }
  return point;
}

}  // namespace

const std::string& private_bpf_mount() {
  static const std::string point = mount_bpf();
  static const struct Removal {
    ~Removal() {
      if (owner != getpid()) return;
      umount2(point.c_str(), MNT_DETACH);
      rmdir(point.c_str());
    }
    pid_t owner = getpid();
  } removal;
  return point;
}

}  // namespace namewall::kernel_tests
