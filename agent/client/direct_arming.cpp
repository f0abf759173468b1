#include "agent/client/direct_arming.h"

#include <memory>
#include <optional>
#include <utility>

#include "agent/credentials.h"
#include "agent/host/open_backends.h"
#include "agent/own_addresses.h"
#include "bpf/enforcer.h"
#include "policy/escape.h"
#include "policy/image_hash.h"

namespace namewall::agent {
namespace {

Result<BackendOptions> options_of(const PinOptions& pins) {
  const Result<Credentials> owner = find_credentials(pins.owner);
  if (!owner && owner.error().kind == ErrorKind::kNotFound) {
    return fail(ErrorKind::kNotFound, "there is no user " + quote_for_display(pins.owner) +
                                          ", who owns what namewall pins: the package makes it, --user names another");
  }
  if (!owner) return tl::unexpected(owner.error());
  const Result<std::uint64_t> netns = bpf::netns_cookie();
  if (!netns) return tl::unexpected(netns.error());
  BackendOptions options;
  options.pin_directory = pins.directory;
  options.owner_uid = owner->uid;
  options.owner_gid = owner->gid;
  options.spare_tables = 0;  // for one arming there is nothing to make ahead
  options.own_netns = *netns;
  return options;
}

// With those backends open that hold something here.
Result<std::unique_ptr<HostBackends>> open_backends(const BackendOptions& options) {
  auto backends = make_backends(options);
  if (has_left_pins(options.pin_directory)) {
    if (auto opened = backends->open(Backend::kBpf); !opened) return tl::unexpected(opened.error());
  }
  if (has_left_table()) {
    if (auto opened = backends->open(Backend::kNft); !opened) return tl::unexpected(opened.error());
  }
  return backends;
}

Result<void> tell_own_addresses(HostBackend& enforcer) {
  const Result<OwnAddresses> own = OwnAddresses::open();
  if (!own) return tl::unexpected(own.error());
  const Result<std::vector<Address>> addresses = own->read();
  if (!addresses) return tl::unexpected(addresses.error());
  return enforcer.set_own_addresses(*addresses);
}

Result<ArmedCgroup> arm_new(HostBackend& enforcer, const BackendOptions& options, const ChosenCgroup& cgroup,
                            std::shared_ptr<const PolicyImage> image) {
  ArmRequest request;
  request.cgroup_fd = cgroup.fd.get();
  request.cgroup = cgroup.path;
  request.image = std::move(image);
  request.options.trusted_netns = {options.own_netns};
  request.options.strict = has_other_processes(cgroup);
  return enforcer.arm({request}).front();
}

}  // namespace

Result<ChangeView> arm_directly(const PinOptions& pins, const ChosenCgroup& cgroup, const PolicyImage& image,
                                const std::string& name) {
  const Result<BackendOptions> options = options_of(pins);
  if (!options) return tl::unexpected(options.error());
  auto opened = open_backends(*options);
  if (!opened) return tl::unexpected(opened.error());
  HostBackends* const enforcer = opened->get();
  if (const auto needed = enforcer->open(image.backend); !needed) return tl::unexpected(needed.error());
  if (const auto told = tell_own_addresses(*enforcer); !told) return tl::unexpected(told.error());
  auto shared = std::make_shared<const PolicyImage>(image);
  const std::optional<ArmedCgroup> before = enforcer->find(cgroup.id);
  const bool is_moved = before && before->backend != image.backend;
  Result<ArmedCgroup> armed =
      is_moved ? enforcer->replace(cgroup.id, shared, true) : arm_new(*enforcer, *options, cgroup, shared);
  if (!armed && armed.error().kind == ErrorKind::kConflict && before && !is_moved) {
    // Nobody judges the flows of another policy until a daemon does: strict from now on.
    const bool is_unchanged = !before->is_strict && before->image_hash == hash_of(*shared);
    armed = enforcer->replace(cgroup.id, shared, !is_unchanged);
  }
  if (!armed) return tl::unexpected(armed.error());
  ChangeView change;
  change.workload = name;
  change.cgroup = cgroup.path;
  change.cgroup_id = cgroup.id;
  change.generation = armed->generation;
  change.state = image.mode == Mode::kAudit ? "audit" : armed->is_strict ? "judging" : "enforcing";
  if (armed->is_strict) {
    change.why.push_back(
        "sockets in it may be older than the policy: each packet is judged, until a daemon has judged them");
  }
  return change;
}

Result<ChangeView> disarm_directly(const PinOptions& pins, const ChosenCgroup& cgroup) {
  const Result<BackendOptions> options = options_of(pins);
  if (!options) return tl::unexpected(options.error());
  auto opened = open_backends(*options);
  if (!opened) return tl::unexpected(opened.error());
  HostBackends* const enforcer = opened->get();
  if (!enforcer->find(cgroup.id)) {
    return fail(ErrorKind::kNotFound, "the cgroup " + escape_for_display(cgroup.path) + " is not armed");
  }
  if (const auto lifted = enforcer->disarm(cgroup.fd.get(), cgroup.id); !lifted) return tl::unexpected(lifted.error());
  ChangeView change;
  change.cgroup = cgroup.path;
  change.cgroup_id = cgroup.id;
  change.lifted.push_back(cgroup.path);
  return change;
}

Result<ChangeView> teardown_directly(const PinOptions& pins) {
  const Result<BackendOptions> options = options_of(pins);
  if (!options) return tl::unexpected(options.error());
  Result<std::vector<std::string>> lifted = teardown_backends(*options);
  if (!lifted) return tl::unexpected(lifted.error());
  ChangeView change;
  change.lifted = std::move(*lifted);
  return change;
}

}  // namespace namewall::agent
