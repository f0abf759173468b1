#include "agent/client/cgroup_choice.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "agent/cgroup_tree.h"
#include "agent/client/program_output.h"
#include "agent/client/unit_drop_in.h"
#include "agent/text_file.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxVisited = 100'000;  // cgroups, in the search for a service without systemd

Result<std::vector<Mount>> read_mounts() {
  const Result<std::string> text = read_text_file("/proc/self/mountinfo");
  if (!text) return tl::unexpected(text.error());
  return parse_mountinfo(*text);
}

Result<std::string> cgroup_of_process(const std::string& process) {
  const Result<std::string> text = read_text_file("/proc/" + process + "/cgroup");
  if (!text && (text.error().error_number == ENOENT || text.error().error_number == ESRCH)) {
    return fail(ErrorKind::kNotFound, "there is no process " + process);
  }
  if (!text) return tl::unexpected(text.error());
  const std::optional<std::string> path = parse_own_cgroup(*text);
  if (!path) return fail(ErrorKind::kUnsupported, "this host has no cgroup v2 hierarchy");
  constexpr std::string_view kRemoved = " (deleted)";
  if (path->ends_with(kRemoved)) return fail(ErrorKind::kNotFound, "the cgroup of process " + process + " is gone");
  return *path;
}

Result<std::string> search_service(const std::vector<Mount>& mounts, const std::string& unit) {
  const std::optional<std::string> root = find_cgroup_directory(mounts, "/");
  if (!root) return fail(ErrorKind::kUnsupported, "no cgroup2 mount shows the whole hierarchy");
  std::vector<std::string> found;
  std::size_t visited = 0;
  std::error_code failure;
  using Iterator = std::filesystem::recursive_directory_iterator;
  for (Iterator entry(*root, failure); !failure && entry != Iterator() && visited < kMaxVisited;
       entry.increment(failure)) {
    std::error_code gone;
    if (!entry->is_directory(gone)) continue;
    ++visited;
    if (entry->path().filename() == unit) found.push_back(entry->path().string().substr(root->size()));
  }
  const std::string shown = escape_for_display(unit);
  if (found.empty()) return fail(ErrorKind::kNotFound, "no cgroup is called " + shown + ": the service does not run");
  if (found.size() > 1) {
    return fail(ErrorKind::kConflict, "several cgroups are called " + shown + ", " + escape_for_display(found[0]) +
                                          " and " + escape_for_display(found[1]) + ": name one with --cgroup");
  }
  return found.front();
}

Result<std::string> cgroup_of_service(const std::vector<Mount>& mounts, const std::string& given) {
  const Result<std::string> unit = service_name(given);
  if (!unit || !is_systemd_running()) return unit ? search_service(mounts, *unit) : unit;
  const auto shown = run_program({"systemctl", "show", "--property=ControlGroup", "--value", "--", *unit});
  if (!shown) return tl::unexpected(shown.error());
  std::string path = shown->out.substr(0, shown->out.find('\n'));
  if (shown->exit_code != 0) return fail(ErrorKind::kSystem, "systemctl cannot tell the cgroup of " + *unit);
  if (path.empty()) {
    return fail(
        ErrorKind::kNotFound,
        escape_for_display(*unit) + " does not run, so it has no cgroup; `namewall unit enable` arms it at its starts");
  }
  return path;
}

Result<std::string> path_of(const CgroupChoice& choice, const std::vector<Mount>& mounts) {
  if (choice.self) {
    Result<std::string> own = cgroup_of_process("self");
    return own ? Result<std::string>(service_cgroup_of(*std::move(own))) : own;
  }
  if (choice.pid > 0) return cgroup_of_process(std::to_string(choice.pid));
  if (!choice.unit.empty()) return cgroup_of_service(mounts, choice.unit);
  std::string path = choice.path;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (!path.starts_with('/')) {
    return fail(ErrorKind::kInvalid,
                quote_for_display(path) + " is no path in the cgroup hierarchy, such as `/ci.slice/job`");
  }
  return cgroup_path_of(mounts, path).value_or(path);
}

bool is_plain(const std::string& path) {
  return ("/" + path + "/").find("/../") == std::string::npos && path.find("/./") == std::string::npos;
}

}  // namespace

Result<ChosenCgroup> find_cgroup(const CgroupChoice& choice) {
  const Result<std::vector<Mount>> mounts = read_mounts();
  if (!mounts) return tl::unexpected(mounts.error());
  const Result<std::string> path = path_of(choice, *mounts);
  if (!path) return tl::unexpected(path.error());
  const std::string shown = escape_for_display(*path);
  if (*path == "/") {
    return fail(ErrorKind::kInvalid, "that is the root cgroup, which holds the whole host: name one below it");
  }
  if (!is_plain(*path)) return fail(ErrorKind::kInvalid, shown + " is no plain path in the cgroup hierarchy");
  const std::optional<std::string> directory = find_cgroup_directory(*mounts, *path);
  if (!directory) return fail(ErrorKind::kNotFound, "no cgroup2 mount shows the cgroup " + shown);
  ChosenCgroup chosen;
  chosen.path = *path;
  chosen.fd.reset(::open(directory->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  struct stat held {};
  if (!chosen.fd || ::fstat(chosen.fd.get(), &held) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return fail(ErrorKind::kNotFound, "there is no cgroup " + shown);
    return fail_errno(errno, "cannot open the cgroup " + shown);
  }
  chosen.id = held.st_ino;  // kernfs: the inode number is the cgroup id (64-bit ino_t)
  return chosen;
}

bool has_other_processes(const ChosenCgroup& cgroup) {
  const std::string directory = "/proc/self/fd/" + std::to_string(cgroup.fd.get());
  const Result<std::string> events = read_text_file(directory + "/cgroup.events");
  if (events && events->find("populated 0") != std::string::npos) return false;
  // Populated, maybe by the caller alone: then it is the one line of cgroup.procs, here or in ".control".
  std::error_code failure;
  std::vector<std::string> lists = {directory + "/cgroup.procs"};
  for (std::filesystem::directory_iterator entry(directory, failure); !failure && entry != std::filesystem::end(entry);
       entry.increment(failure)) {
    std::error_code gone;
    if (!entry->is_directory(gone)) continue;
    if (entry->path().filename() != ".control") return true;  // what lives below is not counted one by one
    lists.push_back(entry->path().string() + "/cgroup.procs");
  }
  const std::string own = std::to_string(::getpid()) + "\n";
  for (const std::string& list : lists) {
    const Result<std::string> processes = read_text_file(list);
    if (!processes || (!processes->empty() && *processes != own)) return true;
  }
  return static_cast<bool>(failure);
}

std::optional<std::string> cgroup_path_of(const std::vector<Mount>& mounts, std::string_view directory) {
  const Mount* closest = nullptr;
  for (const Mount& mount : mounts) {
    if (mount.fs_type != "cgroup2" || !directory.starts_with(mount.mount_point)) continue;
    const bool is_whole = directory.size() == mount.mount_point.size() || mount.mount_point == "/" ||
                          directory[mount.mount_point.size()] == '/';
    if (is_whole && (closest == nullptr || mount.mount_point.size() >= closest->mount_point.size())) closest = &mount;
  }
  if (closest == nullptr) return std::nullopt;
  const std::string_view below =
      closest->mount_point == "/" ? directory : directory.substr(closest->mount_point.size());
  std::string path = (closest->root == "/" ? "" : closest->root) + std::string(below);
  return path.empty() ? "/" : path;
}

std::string service_cgroup_of(std::string path) {
  constexpr std::string_view kControl = "/.control";
  if (path.size() > kControl.size() && path.ends_with(kControl)) path.erase(path.size() - kControl.size());
  return path;
}

std::string workload_name_of(std::string_view cgroup_path) {
  constexpr std::string_view kService = ".service";
  constexpr std::size_t kMaxName = 128;
  std::string name(cgroup_path.substr(cgroup_path.rfind('/') + 1));
  if (name.size() > kService.size() && name.ends_with(kService)) name.erase(name.size() - kService.size());
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._:@-").find(c) != std::string_view::npos;
  };
  std::replace_if(
      name.begin(), name.end(), [&](char c) { return !is_allowed(c); }, '-');
  return name.substr(0, kMaxName);
}

}  // namespace namewall::agent
