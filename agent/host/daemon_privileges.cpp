#include "agent/host/daemon_privileges.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "agent/host/drop_privileges.h"
#include "agent/host/open_backends.h"
#include "agent/host/policy_folder.h"
#include "agent/policy_context.h"
#include "bpf/enforcer.h"
#include "policy/escape.h"
#include "policy/host_loader.h"
#include "policy/policy_loader.h"

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

// What has to be known before the folder is read for good; a broken file is told of then.
struct EarlyLook {
  HostSettings settings;
  Backend backend = Backend::kBpf;  // the host's
  bool wants_other = false;         // some policy does
};

EarlyLook look_early(const DaemonOptions& options) {
  EarlyLook look;
  const PolicyContext context = PolicyContext::read_shipped(options.group_directory);
  const FolderContents contents =
      read_folder(options.config_directory + "/policies.d", options.config_directory + "/host.toml");
  if (contents.host && contents.host->text) {
    const std::string& text = *contents.host->text;
    const Loaded<HostFile> loaded =
        load_host_file(text, format_of("host.toml", text), "host.toml", context.get());
    if (loaded.ok()) {
      look.settings = loaded.value.settings;
      look.backend = loaded.value.policy.backend;
    }
  }
  for (const FileText& file : contents.files) {
    if (!file.text) continue;
    // Its backend is known whatever it refers to.
    const Loaded<Policy> loaded = load_policy(*file.text, format_of(file.name, *file.text), file.name);
    look.wants_other = look.wants_other || loaded.value.backend.value_or(look.backend) != look.backend;
  }
  return look;
}

// The host's own must open. The other one only where something of it is left in the kernel; if policies alone want it,
// they tell of what is wrong with it when they are armed.
Result<void> open_backends(HostBackends& backends, const EarlyLook& look, const std::string& pin_directory) {
  const Backend other = look.backend == Backend::kNft ? Backend::kBpf : Backend::kNft;
  const bool is_left = other == Backend::kBpf ? has_left_pins(pin_directory) : has_left_table();
  backends.set_default(look.backend);
  if (auto opened = backends.open(look.backend); !opened) return opened;
  if (!is_left && !look.wants_other) return {};
  auto opened = backends.open(other);
  return is_left ? opened : Result<void>{};
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

  const EarlyLook look = look_early(options);
  BackendOptions backend_options;
  backend_options.pin_directory = options.pin_directory;
  backend_options.owner_uid = user->uid;
  backend_options.owner_gid = user->gid;
  backend_options.max_workloads = look.settings.max_workloads;
  backend_options.spare_tables = look.settings.spare_children;
  backend_options.keeps_spare_layer = look.settings.restrict.enabled;
  backend_options.own_netns = *netns;
  auto backends = make_backends(backend_options);
  if (auto opened = open_backends(*backends, look, options.pin_directory); !opened) {
    return tl::unexpected(opened.error());
  }
  if (auto dropped = drop_privileges(user->uid, user->gid, daemon_capabilities()); !dropped) {
    return tl::unexpected(dropped.error());
  }
  return PrivilegedStart{*user,  std::move(*helper), std::move(*addresses), std::move(*answerer),
                         *netns, std::move(backends)};
}

}  // namespace namewall::agent
