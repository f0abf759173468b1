#include "agent/seccomp_filter.h"

#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace namewall::agent {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kNativeArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kNativeArch = AUDIT_ARCH_AARCH64;
#else
#error "name the native AUDIT_ARCH_* of this machine"
#endif

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of an argument comes first");

#if defined(__x86_64__)
constexpr std::uint32_t kX32Bit = 0x40000000;  // __X32_SYSCALL_BIT: same arch value, other numbers
#endif

class FilterBuilder {
 public:
  // The kernel takes what is judged here (a socket's `family` and `protocol`, an ioctl's `cmd`) as int: the low 32 bits
  // are the argument, the rest is ignored.
  void load_argument(unsigned index) {
    load(static_cast<std::uint32_t>(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t)));
  }
  void load(std::uint32_t offset) { add(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }
  void allow() { add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0); }
  void refuse(int error) { add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error), 0, 0); }
  void refuse_if_equal(std::uint32_t value, int error) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    refuse(error);
  }
  void allow_if_equal(std::uint32_t value) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    allow();
  }
  void refuse_if_at_least(std::uint32_t value, int error) {
    add(BPF_JMP | BPF_JGE | BPF_K, value, 0, 1);
    refuse(error);
  }
  // Goes over the next `count` instructions unless the loaded value equals.
  void skip_unless_equal(std::uint32_t value, std::uint8_t count) { add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count); }
  void skip_if_equal(std::uint32_t value, std::uint8_t count) { add(BPF_JMP | BPF_JEQ | BPF_K, value, count, 0); }

  void append(const std::vector<sock_filter>& more) { code_.insert(code_.end(), more.begin(), more.end()); }
  const std::vector<sock_filter>& code() const { return code_; }

 private:
  void add(int code, std::uint32_t value, std::uint8_t if_true, std::uint8_t if_false) {
    code_.push_back({static_cast<std::uint16_t>(code), if_true, if_false, value});
  }
  std::vector<sock_filter> code_;
};

// Judges the command of ioctl; ends the program on every path.
std::vector<sock_filter> judge_terminal_command() {
  FilterBuilder judge;
  judge.load_argument(1);
  judge.refuse_if_equal(TIOCSTI, EPERM);
  judge.refuse_if_equal(TIOCLINUX, EPERM);
  judge.allow();
  return judge.code();
}

// Judges the arguments of socket and socketpair; ends the program on every path.
std::vector<sock_filter> judge_family() {
  FilterBuilder judge;
  judge.load_argument(0);
  judge.allow_if_equal(AF_UNIX);
  judge.allow_if_equal(AF_INET);
  judge.allow_if_equal(AF_INET6);
  judge.skip_if_equal(AF_NETLINK, 1);
  judge.refuse(EAFNOSUPPORT);
  judge.load_argument(2);
  judge.allow_if_equal(NETLINK_ROUTE);
  judge.refuse(EAFNOSUPPORT);
  return judge.code();
}

}  // namespace

std::vector<sock_filter> build_seccomp_filter(const KeepSet& keep) {
  FilterBuilder filter;
  filter.load(offsetof(seccomp_data, arch));
  filter.skip_if_equal(kNativeArch, 1);
  if (keep.has(Keep::kForeignAbis)) {
    filter.allow();  // their numbers differ: nothing below applies
  } else {
    filter.refuse(EPERM);
  }
  filter.load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  if (!keep.has(Keep::kForeignAbis)) filter.refuse_if_at_least(kX32Bit, EPERM);
#endif
  if (!keep.has(Keep::kBpf)) filter.refuse_if_equal(SYS_bpf, EPERM);
  if (!keep.has(Keep::kIoUring)) {
    for (const long number : {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}) {
      filter.refuse_if_equal(static_cast<std::uint32_t>(number), ENOSYS);
    }
  }
  if (!keep.has(Keep::kFamilies)) {
    const std::vector<sock_filter> judge = judge_family();
    filter.skip_if_equal(SYS_socket, 1);
    filter.skip_unless_equal(SYS_socketpair, static_cast<std::uint8_t>(judge.size()));
    filter.append(judge);
  }
  if (!keep.has(Keep::kTerminal)) {
    const std::vector<sock_filter> judge = judge_terminal_command();
    filter.skip_unless_equal(SYS_ioctl, static_cast<std::uint8_t>(judge.size()));
    filter.append(judge);
  }
  filter.allow();
  const bool keeps_all = keep.has(Keep::kForeignAbis) && keep.has(Keep::kBpf) && keep.has(Keep::kIoUring) &&
                         keep.has(Keep::kFamilies) && keep.has(Keep::kTerminal);
  return keeps_all ? std::vector<sock_filter>{} : filter.code();
}

Result<void> apply_seccomp_filter(const std::vector<sock_filter>& filter) {
  if (filter.empty()) return {};
  const sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    return fail_errno(errno, "cannot install the system call filter");
  }
  return {};
}

}  // namespace namewall::agent
