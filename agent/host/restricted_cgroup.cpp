#include "agent/host/restricted_cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <vector>

#include "agent/cgroup_tree.h"
#include "agent/host/cgroup_members.h"
#include "agent/host/process_move.h"
#include "agent/host/restrict_target.h"
#include "agent/mount_table.h"
#include "agent/text_file.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::string_view kPrefix = "namewall-restrict-";
constexpr std::size_t kMaxChildren = 1024;  // looked at for one in another pid namespace
constexpr std::size_t kMaxThreads = 64;     // likewise

using Refusal = RestrictedCgroupOutcome;

Refusal refuse(ErrorKind kind, std::string what, RestrictObstacle obstacle = RestrictObstacle::kNone) {
  return {fail(kind, std::move(what)), obstacle};
}

bool is_alive(int pidfd) {
  pollfd ended{pidfd, POLLIN, 0};
  return ::poll(&ended, 1, 0) == 0;
}

// In this process's pid namespace; nullopt: it has ended, or is not in it.
std::optional<std::uint32_t> number_of(int pidfd) {
  const auto text = read_text_file("/proc/self/fdinfo/" + std::to_string(pidfd));
  const std::size_t at = text ? text->find("\nPid:\t") : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  std::int64_t number = 0;
  const char* begin = text->data() + at + 6;
  std::from_chars(begin, text->data() + text->size(), number);
  return number > 0 ? std::optional(static_cast<std::uint32_t>(number)) : std::nullopt;
}

std::string directory_of(std::uint32_t pid) { return "/proc/" + std::to_string(pid); }

std::optional<ProcessIdentity> identity_of(std::uint32_t pid) {
  const auto status = read_text_file(directory_of(pid) + "/status");
  return status ? parse_process_identity(*status) : std::nullopt;
}

FileDescriptor open_cgroup_of(std::uint32_t pid) {
  const auto mountinfo = read_text_file("/proc/self/mountinfo");
  const auto text = read_text_file(directory_of(pid) + "/cgroup");
  const auto path = text ? parse_own_cgroup(*text) : std::nullopt;
  if (!mountinfo || !path) return {};
  auto mounts = parse_mountinfo(*mountinfo);
  std::erase_if(mounts, [](const Mount& mount) { return mount.fs_type != "cgroup2"; });
  const auto directory = find_cgroup_directory(mounts, *path);
  return FileDescriptor(directory ? ::open(directory->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
}

std::uint64_t id_of(int directory) {
  struct stat status {};
  return directory >= 0 && ::fstat(directory, &status) == 0 ? status.st_ino : 0;
}

bool has_line(int directory, const char* file, std::string_view line) {
  const auto text = read_cgroup_file(directory, file);
  return text && ("\n" + *text).find("\n" + std::string(line) + "\n") != std::string::npos;
}

// The cgroup itself, then those above it up to the root of the mount. Empty: not all can be opened.
std::vector<FileDescriptor> open_upwards(int cgroup) {
  std::vector<FileDescriptor> all;
  int at = cgroup;
  while (true) {
    FileDescriptor next(::openat(at, all.empty() ? "." : "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!next) return {};
    if (!check_cgroup_directory(next.get()) || (!all.empty() && id_of(next.get()) == id_of(at))) return all;
    all.push_back(std::move(next));
    at = all.back().get();
  }
}

std::optional<Refusal> find_obstacle(const std::vector<FileDescriptor>& upwards) {
  const int own = upwards.front().get();
  const auto type = read_cgroup_file(own, "cgroup.type");  // the root has none
  if (type && *type != "domain\n") {
    return refuse(ErrorKind::kConflict,
                  "the cgroup of the process is \"" + escape_for_display(type->substr(0, type->find('\n'))) +
                      "\": its threads may be in cgroups of their own, so that the process cannot be moved as one",
                  RestrictObstacle::kThreaded);
  }
  const bool is_frozen =
      has_line(own, "cgroup.events", "frozen 1") ||
      std::ranges::any_of(upwards, [](const FileDescriptor& one) { return has_line(one.get(), "cgroup.freeze", "1"); });
  if (!is_frozen) return std::nullopt;
  return refuse(ErrorKind::kConflict, "the cgroup of the process is frozen: ask again when it runs",
                RestrictObstacle::kFrozen);
}

// 0 is nobody's: what cannot be read is shared with nobody.
bool shares_namespace(std::uint32_t pid, const std::string& name) {
  const auto inode = [&](const std::string& process) -> ino_t {
    struct stat status {};
    return ::stat((process + "/ns/" + name).c_str(), &status) == 0 ? status.st_ino : 0;
  };
  const ino_t own = inode("/proc/self");
  return own != 0 && inode(directory_of(pid)) == own;
}

UserNamespace user_namespace_of(std::uint32_t pid) {
  UserNamespace users;
  users.is_readers = shares_namespace(pid, "user");
  if (users.is_readers) return users;
  users.uids = parse_id_map(read_text_file(directory_of(pid) + "/uid_map").value_or(""));
  users.gids = parse_id_map(read_text_file(directory_of(pid) + "/gid_map").value_or(""));
  return users;
}

std::vector<std::uint32_t> children_of(std::uint32_t pid) {
  std::vector<std::uint32_t> children;
  const std::string tasks = directory_of(pid) + "/task";
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(tasks.c_str()), &::closedir);
  std::size_t threads = 0;
  for (const dirent* entry; directory && threads < kMaxThreads && (entry = ::readdir(directory.get())) != nullptr;) {
    if (entry->d_name[0] == '.') continue;
    ++threads;
    const std::string text = read_text_file(tasks + "/" + entry->d_name + "/children").value_or("");
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end && children.size() < kMaxChildren) {
      std::uint32_t child = 0;
      const auto [next, error] = std::from_chars(at, end, child);
      if (error == std::errc()) children.push_back(child);
      at = next == end ? end : next + 1;
    }
  }
  return children;
}

struct Target {
  std::uint32_t pid = 0;
  FileDescriptor pidfd;
  ProcessIdentity identity;
};

// The caller's child of that number, as long as its pidfd says that it lives.
std::optional<Target> find_child(std::uint32_t caller_pid, const ProcessIdentity& caller, std::uint32_t number) {
  // In this process's own namespace the number is the child's; in another it has to be looked for.
  const auto candidates = caller.numbers.size() == 1 ? std::vector<std::uint32_t>{number} : children_of(caller_pid);
  for (const std::uint32_t pid : candidates) {
    const auto seen = identity_of(pid);
    if (!seen || !is_child_of(*seen, caller, number)) continue;
    Target target{pid, FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), {}};
    const auto identity = identity_of(pid);  // again: now of the process that the pidfd holds
    if (!target.pidfd || !identity || !is_child_of(*identity, caller, number)) return std::nullopt;
    target.identity = *identity;
    return target;
  }
  return std::nullopt;
}

std::optional<Refusal> check_target(const Target& target, const RestrictOrder& order,
                                    const std::vector<FileDescriptor>& upwards) {
  if (!is_of_user(target.identity, order.uid)) {
    return refuse(ErrorKind::kPermission, "the process is not of the user who asks, in all of its user ids");
  }
  if (!target.identity.has_first_thread) {
    return refuse(ErrorKind::kNotFound, "the process has ended, or its first thread has");
  }
  if (id_of(open_cgroup_of(target.pid).get()) != order.cgroup_id) {
    return refuse(ErrorKind::kPermission, "the process is not in the cgroup of the one that asks");
  }
  if (order.in_own_netns && !shares_namespace(target.pid, "net")) {
    return refuse(ErrorKind::kUnsupported,
                  "the process is in a network namespace of its own, where nftables holds nobody until it is seen "
                  "there: the policy above needs `backend = \"bpf\"`");
  }
  if (order.may_be_able_to_leave) return std::nullopt;
  std::vector<struct stat> procs;
  for (const FileDescriptor& one : upwards) {
    struct stat status {};
    if (::fstatat(one.get(), "cgroup.procs", &status, 0) == 0) procs.push_back(status);
  }
  if (procs.size() == upwards.size() && !may_leave(target.identity.rights, user_namespace_of(target.pid), procs)) {
    return std::nullopt;
  }
  return refuse(ErrorKind::kConflict,
                "the process may write cgroup.procs of its own cgroup or of one above, and could simply leave: have "
                "the cgroup made by somebody else, or ask for `cooperative`",
                RestrictObstacle::kDelegated);
}

Result<FileDescriptor> make_directory(int parent, std::uint64_t number) {
  const std::string name = restricted_cgroup_name(number);
  if (::mkdirat(parent, name.c_str(), 0755) != 0) {
    if (errno == EAGAIN) return fail(ErrorKind::kLimit, "a cgroup above has as many below it as it may");
    return fail_errno(errno, "cannot make the cgroup " + name);
  }
  FileDescriptor made(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!made || ::fchmod(made.get(), 0755) != 0) {
    const int error = errno;
    ::unlinkat(parent, name.c_str(), AT_REMOVEDIR);
    return fail_errno(error, "cannot open the cgroup " + name);
  }
  return made;
}

// One that make_directory() made, and its parent.
Result<FileDescriptor> open_parent_of(int directory, std::string& name) {
  struct stat status {};
  FileDescriptor parent(::openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::vector<std::string> names;
  if (const auto id = check_cgroup_directory(directory); !id) return tl::unexpected(id.error());
  if (!parent || !check_cgroup_directory(parent.get()) || ::fstat(directory, &status) != 0) {
    return fail(ErrorKind::kNotFound, "the cgroup is gone");
  }
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(directory);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  const std::string text(path.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  name = text.substr(text.rfind('/') + 1);
  struct stat again {};
  if (!is_restricted_cgroup(name) || status.st_uid != ::geteuid() ||
      ::fstatat(parent.get(), name.c_str(), &again, AT_SYMLINK_NOFOLLOW) != 0 || again.st_ino != status.st_ino) {
    return fail(ErrorKind::kInvalid, "the directory is no cgroup that was made for a restriction");
  }
  return parent;
}

bool write_pid(int directory, std::uint32_t pid) {
  const FileDescriptor procs(::openat(directory, "cgroup.procs", O_WRONLY | O_CLOEXEC));
  const std::string text = std::to_string(pid);
  return procs && ::write(procs.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

class KernelMove : public MoveSteps {
 public:
  KernelMove(int directory, int process, std::uint32_t pid, std::uint64_t from_id)
      : directory_(directory), process_(process), pid_(pid), from_id_(from_id), id_(id_of(directory)) {}

  bool is_alive() override { return agent::is_alive(process_); }
  bool is_where_expected() override { return id_of(open_cgroup_of(pid_).get()) == from_id_; }
  bool is_inside() override { return id_of(open_cgroup_of(pid_).get()) == id_; }
  Result<void> enter() override {
    if (write_pid(directory_, pid_)) return {};
    return fail_errno(errno, "cannot move the process");
  }
  std::vector<std::uint32_t> members() override {
    const auto members = list_cgroup_members(directory_, kMaxChildren);
    return members ? members->pids : std::vector<std::uint32_t>();
  }
  bool send_back(std::uint32_t pid) override {
    const auto identity = identity_of(pid);
    if (!identity || identity->parent == 0) return false;
    const FileDescriptor home = open_cgroup_of(identity->parent);
    return home && id_of(home.get()) != id_ && write_pid(home.get(), pid);
  }

 private:
  int directory_, process_;
  std::uint32_t pid_;
  std::uint64_t from_id_, id_;
};

}  // namespace

std::string restricted_cgroup_name(std::uint64_t number) { return std::string(kPrefix) + std::to_string(number); }

bool is_restricted_cgroup(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (!name.starts_with(kPrefix) || name.size() == kPrefix.size()) return false;
  return std::ranges::all_of(name.substr(kPrefix.size()), [](char c) { return c >= '0' && c <= '9'; });
}

RestrictedCgroupOutcome make_restricted_cgroup(int caller, const RestrictOrder& order) {
  const auto caller_pid = number_of(caller);
  const auto caller_identity = caller_pid ? identity_of(*caller_pid) : std::nullopt;
  if (!caller_identity || !is_alive(caller)) return refuse(ErrorKind::kNotFound, "the process that asks has ended");
  const FileDescriptor cgroup = open_cgroup_of(*caller_pid);
  if (id_of(cgroup.get()) != order.cgroup_id) {
    return refuse(ErrorKind::kConflict, "the process that asks was moved to another cgroup meanwhile");
  }
  std::optional<Target> target;
  if (order.child == 0) {
    target = Target{*caller_pid, FileDescriptor(::fcntl(caller, F_DUPFD_CLOEXEC, 3)), *caller_identity};
  } else {
    target = find_child(*caller_pid, *caller_identity, order.child);
  }
  if (!target) {
    return refuse(ErrorKind::kPermission,
                  "the process that asks has no child " + std::to_string(order.child) + " that it has not waited for");
  }
  const auto upwards = open_upwards(cgroup.get());
  if (upwards.empty()) return refuse(ErrorKind::kNotFound, "the cgroup of the process is gone");
  if (auto obstacle = find_obstacle(upwards)) return *std::move(obstacle);
  if (auto refusal = check_target(*target, order, upwards)) return *std::move(refusal);
  // Last: everything that was read by their numbers was of them.
  if (!is_alive(caller) || !is_alive(target->pidfd.get())) {
    return refuse(ErrorKind::kNotFound, "the process has ended");
  }
  auto made = make_directory(cgroup.get(), order.number);
  if (!made) return {tl::unexpected(made.error()), RestrictObstacle::kNone};
  return {RestrictedCgroup{std::move(*made), std::move(target->pidfd)}, RestrictObstacle::kNone};
}

Result<void> enter_restricted_cgroup(int directory, int process, std::uint64_t from_id) {
  std::string name;
  const auto parent = open_parent_of(directory, name);
  if (!parent) return tl::unexpected(parent.error());
  if (id_of(parent->get()) != from_id) return fail(ErrorKind::kInvalid, "the cgroup is below another one");
  const auto pid = number_of(process);
  if (!pid) return fail(ErrorKind::kNotFound, "the process has ended");
  KernelMove steps(directory, process, *pid, from_id);
  return move_process(steps);
}

Result<void> remove_restricted_cgroup(int directory) {
  std::string name;
  const auto parent = open_parent_of(directory, name);
  if (!parent) return tl::unexpected(parent.error());
  if (::unlinkat(parent->get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  if (errno == EBUSY || errno == ENOTEMPTY) return fail(ErrorKind::kConflict, "the cgroup is in use");
  return fail_errno(errno, "cannot remove the cgroup " + name);
}

}  // namespace namewall::agent
