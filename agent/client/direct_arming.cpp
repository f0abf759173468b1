#include "agent/client/direct_arming.h"

#include <memory>
#include <optional>
#include <utility>

#include "agent/credentials.h"
#include "agent/own_addresses.h"
#include "bpf/host_enforcer.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

Result<bpf::HostOptions> host_options_of(const PinOptions& pins) {
  const Result<Credentials> owner = find_credentials(pins.owner);
  if (!owner && owner.error().kind == ErrorKind::kNotFound) {
    return fail(ErrorKind::kNotFound, "there is no user " + quote_for_display(pins.owner) +
                                          ", who owns what namewall pins: the package makes it, --user names another");
  }
  if (!owner) return tl::unexpected(owner.error());
  bpf::HostOptions options;
  options.directory = pins.directory;
  options.owner_uid = owner->uid;
  options.owner_gid = owner->gid;
  options.spare_tables = 0;  // for one arming there is nothing to make ahead
  return options;
}

Result<bpf::HostEnforcer> open_enforcer(const PinOptions& pins) {
  const Result<bpf::HostOptions> options = host_options_of(pins);
  if (!options) return tl::unexpected(options.error());
  return bpf::HostEnforcer::open(*options);
}

Result<void> tell_own_addresses(bpf::HostEnforcer& enforcer) {
  const Result<OwnAddresses> own = OwnAddresses::open();
  if (!own) return tl::unexpected(own.error());
  const Result<std::vector<Address>> addresses = own->read();
  if (!addresses) return tl::unexpected(addresses.error());
  return enforcer.set_own_addresses(*addresses);
}

Result<ArmedCgroup> arm_new(bpf::HostEnforcer& enforcer, const ChosenCgroup& cgroup,
                            std::shared_ptr<const PolicyImage> image) {
  const Result<std::uint64_t> netns = bpf::netns_cookie();
  if (!netns) return tl::unexpected(netns.error());
  ArmRequest request;
  request.cgroup_fd = cgroup.fd.get();
  request.cgroup = cgroup.path;
  request.image = std::move(image);
  request.options.trusted_netns = {*netns};
  request.options.strict = has_other_processes(cgroup);
  return enforcer.arm({request}).front();
}

}  // namespace

Result<ChangeView> arm_directly(const PinOptions& pins, const ChosenCgroup& cgroup, const PolicyImage& image,
                                const std::string& name) {
  Result<bpf::HostEnforcer> enforcer = open_enforcer(pins);
  if (!enforcer) return tl::unexpected(enforcer.error());
  if (const auto told = tell_own_addresses(*enforcer); !told) return tl::unexpected(told.error());
  auto shared = std::make_shared<const PolicyImage>(image);
  Result<ArmedCgroup> armed = arm_new(*enforcer, cgroup, shared);
  const std::optional<ArmedCgroup> before = enforcer->find(cgroup.id);
  if (!armed && armed.error().kind == ErrorKind::kConflict && before) {
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
  Result<bpf::HostEnforcer> enforcer = open_enforcer(pins);
  if (!enforcer) return tl::unexpected(enforcer.error());
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
  const Result<bpf::HostOptions> options = host_options_of(pins);
  if (!options) return tl::unexpected(options.error());
  Result<std::vector<std::string>> lifted = bpf::HostEnforcer::teardown_all(*options);
  if (!lifted) return tl::unexpected(lifted.error());
  ChangeView change;
  change.lifted = std::move(*lifted);
  return change;
}

}  // namespace namewall::agent
