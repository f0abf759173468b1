#include "agent/host/served_namespaces.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/host/host_clock.h"
#include "agent/host/process_workload.h"
#include "agent/host/proxy_counts.h"

namespace namewall::agent {
namespace {

// Workloads make namespaces: the other half of the helper's room is for the daemon's own requests.
constexpr std::size_t kMaxHelperRequests = PrivilegedHelper::kMaxWaiting / 2;

FileDescriptor copy_of(const FileDescriptor& fd) { return FileDescriptor(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)); }

std::uint64_t inode_of(const FileDescriptor& fd) {
  struct stat status {};
  return ::fstat(fd.get(), &status) == 0 ? status.st_ino : 0;
}

bool has_resolvers_of_its_own(const Workload& workload) {
  return workload.policy && workload.policy->image()->resolvers.size() > workload.policy->image()->system_resolvers;
}

}  // namespace

struct ServedNamespaces::Other {
  FileDescriptor netns;
  std::uint64_t inode = 0;
  std::uint32_t pid = 0;  // 0: nobody is known to be in it
  FileDescriptor pidfd;
  std::uint64_t lost_at_look = 0;  // looks_ as it was when the process was lost
  bool is_serving = false;         // else its sockets wait for those towards resolvers
  FileDescriptor diagnosis;        // until then
  std::map<ResolverAddress, ProxySockets> waiting;
  std::set<ResolverAddress> resolvers;
};

ServedNamespaces::ServedNamespaces(HostParts& parts, DnsProxy& proxy, HeldPlaces& held, UpstreamSockets& upstream,
                                   EventLoop& loop)
    : parts_(parts),
      proxy_(proxy),
      held_(held),
      upstream_(upstream),
      loop_(loop),
      self_(std::make_shared<ServedNamespaces*>(this)) {}

ServedNamespaces::~ServedNamespaces() {
  *self_ = nullptr;
  for (const auto& [cookie, other] : others_) {
    if (other->pidfd) loop_.unwatch(other->pidfd.get());
  }
}

void ServedNamespaces::adopt(std::map<std::uint64_t, AdoptedNetns> left) {
  for (auto& [cookie, netns] : left) {
    if (cookie != parts_.own_netns) {
      if (!netns.netns || !netns.diagnosis || netns.places.empty() || others_.size() >= kMaxNamespaces) {
        held_.release(cookie);
        continue;
      }
      NetnsProxy opened{std::move(netns.netns), std::move(netns.diagnosis), {}};
      std::vector<ResolverAddress> resolvers;
      for (auto& [resolver, sockets] : netns.places) {
        resolvers.push_back(resolver);
        opened.places.emplace_back(std::move(sockets));
      }
      // Which policies its workloads have is not known yet: as if they had resolvers of their own.
      enter(cookie, 0, std::move(opened), resolvers, true);
      must_look_ = true;
      continue;
    }
    left_ = std::move(netns.places);
  }
}

void ServedNamespaces::settle() {
  for (const auto& [resolver, sockets] : left_) held_.release(parts_.own_netns, resolver);
  left_.clear();
  must_look_ = true;
}

Result<void> ServedNamespaces::add_own_netns() {
  if (is_own_added_) return {};
  ProxyNetns own;
  own.cookie = parts_.own_netns;
  own.diagnosis.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!own.diagnosis) return fail_errno(errno, "cannot open NETLINK_SOCK_DIAG");
  auto added = proxy_.add_netns(std::move(own));
  is_own_added_ = added.has_value();
  return added;
}

void ServedNamespaces::open_own(const ResolverAddress& resolver, BootTime now) {
  const auto opened = [&]() -> Result<void> {
    if (own_.size() >= kMaxOwnResolvers) return fail(ErrorKind::kLimit, "the workloads have too many resolvers");
    if (auto added = add_own_netns(); !added) return added;
    auto left = left_.extract(resolver);
    auto sockets = left ? Result<ProxySockets>(std::move(left.mapped())) : open_proxy_sockets(resolver);
    if (!sockets) return tl::unexpected(sockets.error());
    held_.hold(resolver, parts_.own_netns, *sockets);
    return proxy_.add_sockets(parts_.own_netns, resolver, std::move(*sockets));
  }();
  if (opened) {
    own_.insert(resolver);
    own_refused_.erase(resolver);
    return;
  }
  const std::string why = "no DNS proxy for " + text_of(resolver) + " here: " + opened.error().message();
  const bool is_news = own_refused_[resolver].why != why;
  own_refused_[resolver] = {now + kRetryAfter, why};
  if (is_news) parts_.diary.notice(Priority::kError, "", "no_proxy", why);
}

void ServedNamespaces::serve_own(const PolicyImage& image) {
  const BootTime now = boot_now();
  for (const ResolverAddress& resolver : image.resolvers) {
    if (own_.contains(resolver)) continue;
    const auto refused = own_refused_.find(resolver);
    if (refused == own_refused_.end() || now >= refused->second.until) open_own(resolver, now);
  }
}

void ServedNamespaces::want(std::uint64_t cookie, std::uint32_t pid, const Workload& workload, BootTime now) {
  if (!workload.policy || cookie == 0) return;
  if (cookie == parts_.own_netns) return serve_own(*workload.policy->image());
  const auto other = others_.find(cookie);
  if (pid == 0 || opening_.contains(cookie) || (other != others_.end() && !other->second->is_serving)) return;
  if (const auto refused = refused_.find(cookie); refused != refused_.end() && now < refused->second.until) return;
  std::vector<ResolverAddress> missing;
  for (const ResolverAddress& resolver : workload.policy->image()->resolvers) {
    if (other == others_.end() || !other->second->resolvers.contains(resolver)) missing.push_back(resolver);
  }
  const bool needs_upstream = has_resolvers_of_its_own(workload) && !upstream_.has(cookie);
  if (missing.empty() && !needs_upstream) return;
  if (missing.size() > kMaxPlacesPerRequest) missing.resize(kMaxPlacesPerRequest);
  if (other != others_.end() && other->second->resolvers.size() + missing.size() > kMaxResolvers) {
    return refuse(cookie, "the workloads of one network namespace have too many resolvers");
  }
  is_full_ = other == others_.end() && others_.size() + opening_.size() >= kMaxNamespaces;
  if (is_full_ || missing.empty() || parts_.helper.waiting() >= kMaxHelperRequests) return;
  opening_.insert(cookie);
  parts_.helper.open_proxy(
      pid, cookie, missing, now,
      [weak = std::weak_ptr(self_), cookie, pid, missing, needs_upstream](Result<NetnsProxy> opened) {
        if (const auto self = weak.lock()) {
          (*self)->take_opened(cookie, pid, missing, needs_upstream, std::move(opened));
        }
      });
}

void ServedNamespaces::refuse(std::uint64_t cookie, const std::string& why) {
  refused_[cookie] = {boot_now() + kRetryAfter,
                      "no DNS proxy in network namespace " + std::to_string(cookie) + ": " + why};
}

void ServedNamespaces::take_opened(std::uint64_t cookie, std::uint32_t pid,
                                   const std::vector<ResolverAddress>& resolvers, bool needs_upstream,
                                   Result<NetnsProxy> opened) {
  opening_.erase(cookie);
  if (!opened) return refuse(cookie, opened.error().message());
  const auto failed = std::ranges::find_if(opened->places, [](const auto& place) { return !place; });
  const bool has_any = std::ranges::any_of(opened->places, [](const auto& place) { return place.has_value(); });
  if (failed != opened->places.end()) {
    const Error& error = failed->error();
    refuse(cookie, error.kind == ErrorKind::kUnsupported
                       ? "its loopback interface is down, or has no address of the resolver's family"
                       : error.message());
  } else {
    refused_.erase(cookie);
  }
  if (has_any) enter(cookie, pid, std::move(*opened), resolvers, needs_upstream);
}

void ServedNamespaces::enter(std::uint64_t cookie, std::uint32_t pid, NetnsProxy opened,
                             const std::vector<ResolverAddress>& resolvers, bool needs_upstream) {
  std::unique_ptr<Other>& other = others_[cookie];
  if (!other) {
    other = std::make_unique<Other>();
    other->netns = std::move(opened.netns);
    other->inode = inode_of(other->netns);
    other->diagnosis = std::move(opened.diagnosis);
    held_.hold_netns(cookie, other->netns.get(), other->diagnosis.get());
  }
  for (std::size_t i = 0; i < resolvers.size(); ++i) {
    if (!opened.places[i]) continue;
    held_.hold(resolvers[i], cookie, *opened.places[i]);
    other->waiting[resolvers[i]] = std::move(*opened.places[i]);
  }
  if (pid != 0 && other->pid == 0) stand_for(cookie, pid);
  if (!needs_upstream || upstream_.has(cookie)) return begin_serving(cookie);
  other->is_serving = false;
  upstream_.open(cookie, copy_of(other->netns), [weak = std::weak_ptr(self_), cookie](const Result<void>& ready) {
    const auto self = weak.lock();
    if (!self || !(*self)->others_.contains(cookie)) return;
    // Questions to the system's resolvers do not need them.
    if (!ready) (*self)->refuse(cookie, ready.error().message());
    (*self)->begin_serving(cookie);
  });
}

void ServedNamespaces::begin_serving(std::uint64_t cookie) {
  Other& other = *others_.at(cookie);
  other.is_serving = true;
  if (other.diagnosis) {
    ProxyNetns netns{cookie, copy_of(other.netns), std::move(other.diagnosis)};
    if (const auto added = proxy_.add_netns(std::move(netns)); !added) {
      refuse(cookie, added.error().message());
      return close(cookie);
    }
  }
  for (auto& [resolver, sockets] : std::exchange(other.waiting, {})) {
    if (const auto added = proxy_.add_sockets(cookie, resolver, std::move(sockets)); !added) {
      refuse(cookie, added.error().message());
    } else {
      other.resolvers.insert(resolver);
    }
  }
}

void ServedNamespaces::stand_for(std::uint64_t cookie, std::uint32_t pid) {
  Other& other = *others_.at(cookie);
  if (other.pidfd) loop_.unwatch(other.pidfd.get());
  other.pid = pid;
  other.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!other.pidfd || !loop_.watch(other.pidfd.get(), [this, cookie] { lose(cookie); })) lose(cookie);
}

void ServedNamespaces::lose(std::uint64_t cookie) {
  Other& other = *others_.at(cookie);
  if (other.pidfd) loop_.unwatch(other.pidfd.get());
  other.pidfd.reset();
  other.pid = 0;
  other.lost_at_look = looks_;  // one that runs may have looked before
  must_look_ = true;
  look(boot_now());
}

const Workload* ServedNamespaces::workload_of(std::uint32_t pid) const {
  return find_workload_of_process(parts_.registry, pid);
}

void ServedNamespaces::look(BootTime now) {
  if (is_looking_ || !must_look_ || parts_.helper.waiting() >= kMaxHelperRequests) return;
  is_looking_ = true;
  must_look_ = false;
  ++looks_;
  parts_.helper.scan_namespaces(now, [weak = std::weak_ptr(self_)](const Result<NetnsScan>& scan) {
    if (const auto self = weak.lock()) (*self)->take_scan(scan);
  });
}

void ServedNamespaces::take_scan(const Result<NetnsScan>& scan) {
  is_looking_ = false;
  if (!scan) {
    must_look_ = true;  // at the next tick
    return;
  }
  const BootTime now = boot_now();
  for (const NetnsScan::Found& found : scan->found) {
    const Workload* workload = workload_of(found.process.pid);
    if (workload == nullptr) continue;
    const auto other = others_.find(found.cookie);
    if (other != others_.end() && other->second->pid == 0) stand_for(found.cookie, found.process.pid);
    want(found.cookie, found.process.pid, *workload, now);
  }
  std::vector<std::uint64_t> left;
  for (const auto& [cookie, other] : others_) {
    if (other->pid != 0) continue;
    if (scan->is_complete && other->lost_at_look < looks_) left.push_back(cookie);
    must_look_ = true;
  }
  for (const std::uint64_t cookie : left) close(cookie);
}

void ServedNamespaces::close(std::uint64_t cookie) {
  const auto found = others_.find(cookie);
  if (found == others_.end()) return;
  if (found->second->pidfd) loop_.unwatch(found->second->pidfd.get());
  proxy_.remove_netns(cookie);
  held_.release(cookie);
  upstream_.close(cookie);
  others_.erase(found);
}

void ServedNamespaces::check_some(BootTime now) {
  if (round_.empty()) {
    for (const auto& [cookie, other] : others_) {
      if (other->pid != 0) round_.push_back(cookie);
    }
  }
  std::vector<std::uint64_t> cookies, elsewhere;
  std::vector<ProcessInNetns> processes;
  for (; !round_.empty() && cookies.size() < kMaxCheckedProcesses; round_.pop_front()) {
    const auto found = others_.find(round_.front());
    if (found == others_.end() || found->second->pid == 0) continue;
    if (workload_of(found->second->pid) == nullptr) {
      elsewhere.push_back(found->first);
      continue;
    }
    cookies.push_back(found->first);
    processes.push_back({found->second->inode, found->second->pid});
  }
  for (const std::uint64_t cookie : elsewhere) lose(cookie);
  if (processes.empty() || parts_.helper.waiting() >= kMaxHelperRequests) return;
  parts_.helper.check_processes(
      processes, now, [weak = std::weak_ptr(self_), cookies, processes](const Result<std::uint64_t>& there) {
        const auto self = weak.lock();
        if (!self || !there) return;
        for (std::size_t i = 0; i < cookies.size(); ++i) {
          const auto found = (*self)->others_.find(cookies[i]);
          const bool is_same = found != (*self)->others_.end() && found->second->pid == processes[i].pid;
          if (is_same && (*there >> i & 1) == 0) (*self)->lose(cookies[i]);
        }
      });
}

void ServedNamespaces::review(BootTime) {
  bool has_armed = false;
  std::set<ResolverAddress> wanted;
  std::as_const(parts_.registry).each([&](const Workload& workload) {
    if (!workload.is_armed || !workload.policy) return;
    has_armed = true;
    // Templates' children have their template's policy.
    if (workload.is_template_child) return;
    const auto& resolvers = workload.policy->image()->resolvers;
    wanted.insert(resolvers.begin(), resolvers.end());
  });
  std::erase_if(own_refused_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  const bool has_spare_room = own_.size() < kMaxOwnResolvers / 2;
  const bool is_unwanted = std::ranges::any_of(own_, [&](const auto& resolver) { return !wanted.contains(resolver); });
  if (!is_own_added_ || !is_unwanted || (has_armed && has_spare_room)) return;
  // The wanted ones open again at other ports.
  proxy_.remove_netns(parts_.own_netns);
  held_.release(parts_.own_netns);
  own_.clear();
  is_own_added_ = false;
  for (const ResolverAddress& resolver : wanted) open_own(resolver, boot_now());
}

void ServedNamespaces::tick(BootTime now) {
  std::erase_if(refused_, [&](const auto& entry) { return now - entry.second.until > 10 * kRetryAfter; });
  for (auto& [resolver, refused] : own_refused_) {
    if (now < refused.until) continue;
    const ResolverAddress again = resolver;
    open_own(again, now);
    break;
  }
  check_some(now);
  look(now);
}

void ServedNamespaces::withdraw_all() {
  for (const std::uint64_t cookie : proxy_.namespaces()) proxy_.remove_netns(cookie);
}

bool ServedNamespaces::is_awaited(const ProxyPlace& place) const {
  const auto other = others_.find(place.netns_cookie);
  return other != others_.end() && other->second->waiting.contains(place.resolver);
}

std::vector<ServedNetns> ServedNamespaces::list() const {
  std::vector<ServedNetns> served;
  if (!own_.empty()) served.push_back({parts_.own_netns, true, {own_.begin(), own_.end()}, 0});
  for (const auto& [cookie, other] : others_) {
    served.push_back({cookie, false, {other->resolvers.begin(), other->resolvers.end()}, other->pid});
  }
  return served;
}

std::vector<std::string> ServedNamespaces::warnings() const {
  constexpr std::size_t kMost = 10;
  std::vector<std::string> sentences;
  for (const auto& [resolver, refused] : own_refused_) {
    if (sentences.size() < kMost) sentences.push_back(refused.why);
  }
  for (const auto& [cookie, refused] : refused_) {
    if (sentences.size() < kMost) sentences.push_back(refused.why);
  }
  if (is_full_) {
    sentences.push_back("processes of workloads are in more than " + std::to_string(kMaxNamespaces) +
                        " network namespaces: the others have no DNS proxy");
  }
  return sentences;
}

}  // namespace namewall::agent
