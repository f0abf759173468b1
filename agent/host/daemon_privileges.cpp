#include "agent/host/daemon_privileges.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "agent/host/drop_privileges.h"
#include "agent/host/policy_folder.h"
#include "bpf/host_enforcer.h"
#include "policy/escape.h"
#include "policy/host_loader.h"

namespace namewall::agent {
namespace {

// Made if need be; the user's own from now on. A symbolic link is not followed.
Result<void> own_directory(const std::string& path, mode_t mode, const Credentials& user) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return fail_errno(errno, "cannot make the directory " + escape_for_display(path));
  }
  const FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return fail_errno(errno, "cannot open the directory " + escape_for_display(path));
  if (::fchown(directory.get(), user.uid, user.gid) != 0) {
    return fail_errno(errno, "cannot give the directory " + escape_for_display(path) + " to the daemon's user");
  }
  return {};
}

// What has to be known before host.toml is read for good; a broken file is told of then.
HostSettings early_settings(const DaemonOptions& options) {
  const FolderContents contents =
      read_folder(options.config_directory + "/policies.d", options.config_directory + "/host.toml");
  if (!contents.host || !contents.host->text) return {};
  const std::string& text = *contents.host->text;
  const Loaded<HostFile> loaded = load_host_file(text, format_of("host.toml", text), "host.toml");
  return loaded.ok() ? loaded.value.settings : HostSettings{};
}

}  // namespace

Result<PrivilegedStart> start_privileged(const DaemonOptions& options) {
  if (::geteuid() != 0) {
    return fail(ErrorKind::kPermission, "namewalld starts as root and then becomes " + options.user +
                                            "; start it by its service manager, or with sudo");
  }
  const auto user = find_credentials(options.user);
  if (!user) return tl::unexpected(user.error());
  auto helper = PrivilegedHelper::start();
  if (!helper) return tl::unexpected(helper.error());
  for (const auto& [path, mode] :
       {std::pair(options.run_directory, mode_t{0755}), std::pair(options.state_directory, mode_t{0700}),
        std::pair(options.log_directory, mode_t{0750})}) {
    if (auto owned = own_directory(path, mode, *user); !owned) return tl::unexpected(owned.error());
  }
  auto addresses = OwnAddresses::open();
  if (!addresses) return tl::unexpected(addresses.error());
  auto answerer = RefusalAnswerer::open();
  if (!answerer) return tl::unexpected(answerer.error());
  const auto netns = bpf::netns_cookie();
  if (!netns) return tl::unexpected(netns.error());

  const HostSettings settings = early_settings(options);
  bpf::HostOptions host;
  host.directory = options.pin_directory;
  host.owner_uid = user->uid;
  host.owner_gid = user->gid;
  host.max_workloads = settings.max_workloads;
  host.spare_tables = settings.spare_children;
  auto enforcer = bpf::HostEnforcer::open(host);
  if (!enforcer) return tl::unexpected(enforcer.error());
  if (auto dropped = drop_privileges(user->uid, user->gid, daemon_capabilities()); !dropped) {
    return tl::unexpected(dropped.error());
  }
  return PrivilegedStart{*user,
                         std::move(*helper),
                         std::move(*addresses),
                         std::move(*answerer),
                         *netns,
                         std::make_unique<bpf::HostEnforcer>(std::move(*enforcer))};
}

}  // namespace namewall::agent
