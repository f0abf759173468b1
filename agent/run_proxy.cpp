#include "agent/run_proxy.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "agent/host/cgroup_members.h"
#include "agent/host/netns_sockets.h"
#include "agent/host/proxy_namespaces.h"
#include "policy/image_hash.h"

namespace namewall::agent {
namespace {

constexpr Nanoseconds kListEvery = std::chrono::milliseconds(50);
constexpr Nanoseconds kRetryAfter = std::chrono::milliseconds(200);
constexpr std::size_t kMaxNamespaces = 64;

BootTime boot_now() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return BootTime{std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec)};
}

std::optional<std::uint64_t> netns_inode_of(std::uint32_t pid) {
  struct stat status {};
  if (::stat(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), &status) != 0) return std::nullopt;
  return status.st_ino;
}

// What `work` returns; it runs in a thread of its own, which may enter a namespace.
template <typename F>
auto in_thread(F work) {
  std::optional<decltype(work())> result;
  std::thread([&] { result.emplace(work()); }).join();
  return std::move(*result);
}

Result<FileDescriptor> make_socket_in(const ProxyNetns& netns, int family, int type) {
  SocketCounts counts;
  const bool is_v4 = family == AF_INET;
  (type == SOCK_DGRAM ? (is_v4 ? counts.udp4 : counts.udp6) : (is_v4 ? counts.tcp4 : counts.tcp6)) = 1;
  auto made = in_thread([&] { return make_netns_sockets(netns.netns.get(), netns.cookie, counts); });
  if (!made) return tl::unexpected(made.error());
  return std::move(made->front());
}

}  // namespace

RunProxy::RunProxy(RunBackend& enforcer, Options options)
    : enforcer_(enforcer), cgroup_id_(enforcer.cgroup_id()), options_(std::move(options)) {}

RunProxy::~RunProxy() {
  if (!proxy_) return;
  for (const std::uint64_t cookie : proxy_->namespaces()) proxy_->remove_netns(cookie);
}

Result<std::unique_ptr<RunProxy>> RunProxy::open(RunBackend& enforcer, const PolicyImage& image, Options options) {
  std::unique_ptr<RunProxy> made(new RunProxy(enforcer, std::move(options)));
  made->asker_ = std::make_shared<const std::vector<AskerLevel>>(std::vector<AskerLevel>{AskerLevel{
      enforcer.cgroup_id(), made->options_.name, std::make_shared<const PolicyImage>(image), hash_of(image)}});
  DnsProxyOptions proxy_options;
  proxy_options.use_marks = made->options_.use_marks;
  proxy_options.own_netns_cookie = made->options_.own_netns_cookie;
  proxy_options.make_socket = make_socket_in;
  auto proxy = DnsProxy::open(proxy_options, *made);
  if (!proxy) return tl::unexpected(proxy.error());
  made->proxy_.emplace(std::move(*proxy));
  if (auto added = made->add_own_places(); !added) return tl::unexpected(added.error());
  if (!image.agent_names.empty()) made->proxy_->keep_fresh({made->asker_});
  return made;
}

Result<void> RunProxy::add_own_places() {
  FileDescriptor diagnosis(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!diagnosis) return fail_errno(errno, "cannot open NETLINK_SOCK_DIAG");
  if (auto added = proxy_->add_netns({options_.own_netns_cookie, FileDescriptor(), std::move(diagnosis)}); !added) {
    return added;
  }
  std::optional<Error> missing;  // of one family, where the other has its place
  bool has_place = false;
  for (const ResolverAddress& resolver : asker_->front().image->resolvers) {
    auto sockets = open_proxy_sockets(resolver);
    if (!sockets) {
      if (sockets.error().kind != ErrorKind::kUnsupported) return tl::unexpected(sockets.error());
      missing = sockets.error();
      continue;
    }
    if (auto added = proxy_->add_sockets(options_.own_netns_cookie, resolver, std::move(*sockets)); !added)
      return added;
    has_place = true;
  }
  if (missing && !has_place) return tl::unexpected(*missing);
  return {};
}

Result<void> RunProxy::serve_namespace(std::uint64_t cookie, std::uint32_t pid) {
  const BootTime now = boot_now();
  if (pid == 0 || cookie == 0 || cookie == options_.own_netns_cookie || inodes_.contains(cookie)) {
    return fail(ErrorKind::kConflict, "the network namespace is served as far as it can be");
  }
  if (const auto tried = retry_after_.find(cookie); tried != retry_after_.end() && now < tried->second) {
    return fail(ErrorKind::kLimit, "the network namespace could not be served a moment ago");
  }
  if (inodes_.size() >= kMaxNamespaces) return fail(ErrorKind::kLimit, "too many network namespaces are served");
  if (retry_after_.size() >= kMaxNamespaces) retry_after_.clear();
  retry_after_[cookie] = now + kRetryAfter;
  const std::vector<ResolverAddress>& resolvers = asker_->front().image->resolvers;
  auto opened = in_thread([&] { return open_netns_proxy(pid, cookie, resolvers); });
  if (!opened) return tl::unexpected(opened.error());
  struct stat status {};
  if (::fstat(opened->netns.get(), &status) != 0) return fail_errno(errno, "cannot look at a network namespace");
  if (auto added = proxy_->add_netns({cookie, std::move(opened->netns), std::move(opened->diagnosis)}); !added) {
    return added;
  }
  inodes_[cookie] = status.st_ino;
  std::optional<Error> failed;
  for (std::size_t i = 0; i < resolvers.size() && i < opened->places.size(); ++i) {
    Result<ProxySockets>& place = opened->places[i];
    if (!place) {
      failed = place.error();
    } else if (auto added = proxy_->add_sockets(cookie, resolvers[i], std::move(*place)); !added) {
      failed = added.error();
    }
  }
  if (!failed) return {};
  const bool has_place =
      std::ranges::any_of(resolvers, [&](const ResolverAddress& resolver) { return proxy_->serves(cookie, resolver); });
  if (has_place) return {};
  proxy_->remove_netns(cookie);  // loopback may be brought up later
  inodes_.erase(cookie);
  return tl::unexpected(*failed);
}

std::optional<BootTime> RunProxy::next_deadline() const {
  const auto deadline = proxy_->next_deadline();
  if (inodes_.empty()) return deadline;
  return deadline ? std::min(*deadline, next_look_) : next_look_;
}

void RunProxy::tick(BootTime now) {
  if (inodes_.empty() || now < next_look_) return;
  next_look_ = now + kLookEvery;
  const auto members = list_cgroup_members(options_.cgroup_fd, kMaxListedProcesses);
  if (!members || !members->is_complete) return;
  std::set<std::uint64_t> inhabited;
  for (const std::uint32_t pid : members->pids) {
    if (const auto inode = netns_inode_of(pid)) inhabited.insert(*inode);
  }
  for (auto served = inodes_.begin(); served != inodes_.end();) {
    if (inhabited.contains(served->second)) {
      ++served;
      continue;
    }
    proxy_->remove_netns(served->first);
    retry_after_.erase(served->first);
    served = inodes_.erase(served);
  }
}

Asker RunProxy::find_asker(AskerToken token) {
  const auto cgroup = enforcer_.cgroup_of_token(token);
  return cgroup == cgroup_id_ ? asker_ : nullptr;
}

Asker RunProxy::find_asker_of_cgroup(std::uint64_t cgroup_id) {
  if (cgroup_id == cgroup_id_ || cgroups_.contains(cgroup_id)) return asker_;
  const BootTime now = boot_now();
  if (now < next_listing_) return nullptr;
  next_listing_ = now + kListEvery;
  if (const auto members = list_cgroup_members(options_.cgroup_fd, kMaxListedProcesses)) cgroups_ = members->cgroup_ids;
  return cgroups_.contains(cgroup_id) ? asker_ : nullptr;
}

Asker RunProxy::take_asker(const AskerKey& key) {
  const auto cgroup = enforcer_.take_asker(key);
  return cgroup == cgroup_id_ ? asker_ : nullptr;
}

}  // namespace namewall::agent
