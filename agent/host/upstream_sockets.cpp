#include "agent/host/upstream_sockets.h"

#include <sys/socket.h>

#include <array>
#include <utility>

#include "agent/host/host_clock.h"

namespace namewall::agent {
namespace {

enum Kind : std::size_t { kUdp4, kTcp4, kUdp6, kTcp6, kKinds };
constexpr std::array<std::uint32_t, kKinds> kWanted = {UpstreamSockets::kReady.udp4, UpstreamSockets::kReady.tcp4,
                                                       UpstreamSockets::kReady.udp6, UpstreamSockets::kReady.tcp6};
static_assert(kWanted[kUdp4] + kWanted[kTcp4] + kWanted[kUdp6] + kWanted[kTcp6] <= kMaxSocketsPerRequest);

}  // namespace

struct UpstreamSockets::State : std::enable_shared_from_this<State> {
  struct Store {
    FileDescriptor netns;
    std::array<std::vector<FileDescriptor>, kKinds> ready;
    bool is_asking = false;
  };

  explicit State(PrivilegedHelper& from) : helper(from) {}

  void fill(std::uint64_t cookie, std::function<void(Result<void>)> done) {
    Store& store = stores.at(cookie);
    std::array<std::uint32_t, kKinds> missing{};
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      missing[kind] = kWanted[kind] - static_cast<std::uint32_t>(store.ready[kind].size());
    }
    store.is_asking = true;
    helper.make_sockets(
        store.netns.get(), cookie, {missing[kUdp4], missing[kTcp4], missing[kUdp6], missing[kTcp6]}, boot_now(),
        [weak = weak_from_this(), cookie, missing, done = std::move(done)](Result<std::vector<FileDescriptor>> made) {
          if (const auto alive = weak.lock()) alive->put(cookie, missing, std::move(made), done);
        });
  }

  void put(std::uint64_t cookie, const std::array<std::uint32_t, kKinds>& counts,
           Result<std::vector<FileDescriptor>> made, const std::function<void(Result<void>)>& done) {
    const auto found = stores.find(cookie);
    if (found == stores.end()) return;
    found->second.is_asking = false;
    if (made) {
      auto next = made->begin();
      for (std::size_t kind = 0; kind < kKinds; ++kind) {
        for (std::uint32_t i = 0; i < counts[kind]; ++i) found->second.ready[kind].push_back(std::move(*next++));
      }
    }
    if (done) done(made ? Result<void>() : Result<void>(tl::unexpected(made.error())));
  }

  PrivilegedHelper& helper;
  std::map<std::uint64_t, Store> stores;  // by netns cookie
};

UpstreamSockets::UpstreamSockets(PrivilegedHelper& helper) : state_(std::make_shared<State>(helper)) {}

void UpstreamSockets::open(std::uint64_t cookie, FileDescriptor netns, std::function<void(Result<void>)> ready) {
  state_->stores[cookie].netns = std::move(netns);
  state_->fill(cookie, std::move(ready));
}

Result<FileDescriptor> UpstreamSockets::take(std::uint64_t cookie, int family, int type) {
  const auto found = state_->stores.find(cookie);
  if (found == state_->stores.end()) {
    return fail(ErrorKind::kNotFound, "no sockets towards resolvers of that network namespace are kept");
  }
  const std::size_t kind = (family == AF_INET6 ? kUdp6 : kUdp4) + (type == SOCK_STREAM ? 1 : 0);
  std::vector<FileDescriptor>& ready = found->second.ready[kind];
  if (ready.size() <= kWanted[kind] / 2 && !found->second.is_asking) state_->fill(cookie, nullptr);
  if (ready.empty()) return fail(ErrorKind::kLimit, "no socket towards a resolver of that network namespace is ready");
  FileDescriptor taken = std::move(ready.back());
  ready.pop_back();
  return taken;
}

void UpstreamSockets::close(std::uint64_t cookie) { state_->stores.erase(cookie); }

bool UpstreamSockets::has(std::uint64_t cookie) const { return state_->stores.contains(cookie); }

}  // namespace namewall::agent
