#include "agent/doctor_cgroup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/cgroup_tree.h"
#include "agent/command.h"
#include "agent/host/cgroup_members.h"
#include "agent/host/process_facts.h"
#include "agent/text_file.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

using Json = nlohmann::ordered_json;

Result<FileDescriptor> open_cgroup(const std::string& path) {
  FileDescriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory && check_cgroup_directory(directory.get())) return directory;
  const auto mounts = read_text_file("/proc/self/mountinfo");
  if (!mounts) return tl::unexpected(mounts.error());
  const auto in_mount = find_cgroup_directory(parse_mountinfo(*mounts), path);
  directory.reset(in_mount ? open(in_mount->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
  if (!directory || !check_cgroup_directory(directory.get())) {
    return fail(ErrorKind::kNotFound, "there is no cgroup " + quote_for_display(path) + " in the cgroup v2 hierarchy");
  }
  return directory;
}

Result<std::vector<ForeignUser>> inspect(const std::string& path) {
  if (geteuid() != 0)
    return fail(ErrorKind::kPermission, "doctor --cgroup reads other users' processes: run it as root");
  const auto directory = open_cgroup(path);
  if (!directory) return tl::unexpected(directory.error());
  const auto facts = read_workload_facts(directory->get());
  if (!facts) return tl::unexpected(facts.error());
  return find_foreign_users(*facts);
}

std::string to_json(const std::vector<ForeignUser>& users) {
  Json list = Json::array();
  for (const ForeignUser& user : users) {
    list.push_back({{"code", code_of(user)},
                    {"partial", makes_partial(user)},
                    {"processes", user.processes},
                    {"pid", user.pid},
                    {"detail", escape_for_display(user.detail)},
                    {"sentence", sentence_of(user)}});
  }
  return Json{{"foreign_users", std::move(list)}}.dump();
}

}  // namespace

int doctor_cgroup(const std::string& path, bool as_json) {
  const auto users = inspect(path);
  if (!users) {
    std::fprintf(stderr, "namewall: %s\n", users.error().message().c_str());
    return exit_code_of(users.error().kind);
  }
  if (as_json) {
    std::printf("%s\n", to_json(*users).c_str());
  } else if (users->empty()) {
    std::puts("nothing acts for this cgroup from outside or past the hooks");
  }
  for (const ForeignUser& user : *users) {
    if (!as_json) std::printf("%s: %s\n", std::string(code_of(user)).c_str(), sentence_of(user).c_str());
  }
  return std::ranges::any_of(*users, makes_partial) ? kExitNotEnforcing : kExitOk;
}

}  // namespace namewall::agent
