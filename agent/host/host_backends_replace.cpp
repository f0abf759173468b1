// A workload whose policy changes, and with it maybe what enforces it.
#include <utility>

#include "agent/host/host_backends.h"
#include "agent/host/host_clock.h"
#include "agent/host/relearning.h"
#include "policy/canonical_form.h"

namespace namewall::agent {
namespace {

Backend other_than(Backend backend) { return backend == Backend::kNft ? Backend::kBpf : Backend::kNft; }

}  // namespace

Result<ArmedCgroup> HostBackends::replace(std::uint64_t cgroup_id, std::shared_ptr<const PolicyImage> image,
                                          bool strict) {
  const Backend wanted = image->backend;
  if (HostBackend* const same = opened(wanted); same != nullptr && same->find(cgroup_id)) {
    auto replaced = same->replace(cgroup_id, std::move(image), strict);
    if (replaced) replaced->backend = wanted;
    // Left where a move was cut short.
    HostBackend* const other = opened(other_than(wanted));
    if (const auto left = other != nullptr && replaced ? other->find(cgroup_id) : std::nullopt) {
      const auto cgroup = openers_.cgroup(cgroup_id, left->cgroup);
      if (cgroup) (void)other->disarm(cgroup->get(), cgroup_id);
    }
    return replaced;
  }
  HostBackend* const from = opened(other_than(wanted));
  const auto armed = from == nullptr ? std::nullopt : from->find(cgroup_id);
  if (!armed) return fail(ErrorKind::kNotFound, "the cgroup is not armed");
  return move(*from, wanted, *armed, std::move(image), strict);
}

Result<ArmedCgroup> HostBackends::move(HostBackend& from, Backend to, const ArmedCgroup& armed,
                                       std::shared_ptr<const PolicyImage> image, bool strict) {
  const auto target = need(to);
  if (!target) return tl::unexpected(target.error());
  const auto cgroup = openers_.cgroup(armed.cgroup_id, armed.cgroup);
  if (!cgroup) return tl::unexpected(cgroup.error());
  const auto learned = from.read_grants(armed.cgroup_id);
  ArmRequest request;
  request.cgroup_fd = cgroup->get();
  request.cgroup = armed.cgroup;
  request.image = image;
  request.options.strict = strict || armed.is_strict;
  request.options.children = armed.is_template ? Children::kApart : Children::kJoin;
  auto arrived = (*target)->arm({request}).front();
  if (!arrived) return tl::unexpected(arrived.error());
  arrived->backend = to;
  if (learned) {
    teach_again(**target, armed.cgroup_id, *learned, *image, boot_now());
  }
  if (auto left = from.disarm(cgroup->get(), armed.cgroup_id); !left) {
    return fail(left.error().kind, "the cgroup is held by " + std::string(word_of(to)) + " now, and still by " +
                                       std::string(word_of(other_than(to))) + ": " + left.error().message());
  }
  return arrived;
}

}  // namespace namewall::agent
