#include "agent/proxy/served_place.h"

#include <algorithm>
#include <utility>

#include "agent/proxy/socket_endpoint.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxTargets = 1024;  // askers of one place; then they are looked at anew

}  // namespace

std::optional<UpstreamTarget> choose_target(const Asker& asker, const ResolverAddress& resolver,
                                            std::uint64_t place_netns) {
  for (const AskerLevel& level : *asker) {
    if (std::ranges::find(level.image->resolvers, resolver) == level.image->resolvers.end()) return std::nullopt;
  }
  const PolicyImage& image = *asker->front().image;
  const auto first_other =
      image.resolvers.begin() + std::min<std::ptrdiff_t>(image.system_resolvers, std::ssize(image.resolvers));
  const bool is_system = std::find(image.resolvers.begin(), first_other, resolver) != first_other;
  UpstreamTarget target{is_system ? 0 : place_netns, resolver, {}};
  // Those of the same namespace, that every level trusts.
  for (auto other = is_system ? image.resolvers.begin() : first_other;
       other != (is_system ? first_other : image.resolvers.end()); ++other) {
    const bool is_trusted = std::ranges::all_of(*asker, [&](const AskerLevel& level) {
      return std::ranges::find(level.image->resolvers, *other) != level.image->resolvers.end();
    });
    if (*other != resolver && is_trusted) target.stand_ins.push_back(*other);
  }
  return target;
}

ServedPlace::ServedPlace(ProxySockets sockets, const ProxySocketsPlace& where, const ResolverAddress& resolver,
                         std::uint64_t target_netns, std::uint64_t number, Poller& poller, StreamHost& host)
    : resolver_(resolver),
      where_(where),
      target_netns_(target_netns),
      number_(number),
      poller_(poller),
      datagrams_(std::move(sockets.udp)),
      streams_(std::move(sockets.tcp), number + 1, loopback_of(where.is_ipv6, where.port), poller, host) {
  (void)poller_.add(datagrams_.fd(), number_, EPOLLIN);
}

ServedPlace::~ServedPlace() { poller_.remove(datagrams_.fd()); }

ProxyPlace ServedPlace::place_of(Protocol protocol) const {
  return {where_.netns_cookie, resolver_, protocol, where_.port};
}

const UpstreamTarget* ServedPlace::target_of(const Asker& asker) {
  if (targets_.size() >= kMaxTargets) targets_.clear();
  const auto [found, is_new] = targets_.try_emplace(asker.get());
  if (is_new) found->second = {asker, choose_target(asker, resolver_, target_netns_)};
  return found->second.target ? &*found->second.target : nullptr;
}

}  // namespace namewall::agent
