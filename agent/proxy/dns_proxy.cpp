#include "agent/proxy/dns_proxy.h"

#include <netinet/in.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <unordered_map>
#include <utility>

#include "agent/proxy/agent_resolver.h"
#include "agent/proxy/ares_upstream.h"
#include "agent/proxy/connection_counts.h"
#include "agent/proxy/peer_cgroup.h"
#include "agent/proxy/poller.h"
#include "agent/proxy/served_place.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kReadyAtOnce = 64;
constexpr int kRoundsPerServe = 4;
constexpr int kTurnsPerRound = 8;
constexpr std::size_t kFewQuestions = 4;
constexpr Nanoseconds kTickEvery = std::chrono::milliseconds(250);
constexpr Nanoseconds kIdleTick = std::chrono::seconds(2);           // for sockets that are to be closed
constexpr Nanoseconds kUnknownAskerEvery = std::chrono::seconds(1);  // events of one namespace
constexpr unsigned kTokenShift = 16;                                 // of the token in a packet's mark

BootTime boot_now() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return BootTime{std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec)};
}

// Half of the descriptors that the process may have: the other half is for everything else.
std::uint32_t max_connections() {
  constexpr rlim_t kMax = 8192;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  return static_cast<std::uint32_t>(std::min(limit.rlim_cur, kMax) / 2);
}

}  // namespace

struct DnsProxy::State final : ProxyOutput {
  // Of one place, for its streams.
  struct Streams final : StreamHost {
    Streams(State& the_proxy, std::uint64_t the_netns) : proxy(the_proxy), netns_cookie(the_netns) {}
    std::uint64_t next_place_number() override {
      proxy.connections[proxy.next_number] = place;
      return proxy.next_number++;
    }
    std::uint64_t find_cgroup(const ResolverAddress& its_local, const ResolverAddress& its_remote) override {
      return proxy.find_peer_cgroup(netns_cookie, its_local, its_remote, place->resolver());
    }
    Asker find_asker(std::uint64_t cgroup_id) override { return proxy.host.find_asker_of_cgroup(cgroup_id); }
    bool admit(const Asker& asker) override { return proxy.counts.admit(asker); }
    void leave(const Asker& asker) override { proxy.counts.leave(asker); }
    void on_question(const ClientHandle& client, const Asker& asker, std::span<const std::uint8_t> message) override {
      proxy.take_question(*place, client, asker, true, message);
    }
    void on_closed(std::uint64_t number) override {
      proxy.connections.erase(number);
      proxy.core->forget_place(number);
    }
    State& proxy;
    std::uint64_t netns_cookie;
    ServedPlace* place = nullptr;
  };
  struct Served {
    std::unique_ptr<Streams> streams;  // outlives the place
    std::unique_ptr<ServedPlace> place;
  };
  struct Netns {
    ProxyNetns handle;
    std::map<ResolverAddress, Served> served;
    BootTime next_unknown_event;
    std::uint64_t unknown_left_out = 0;
  };

  State(const DnsProxyOptions& the_options, ProxyHost& the_host, Poller the_poller)
      : options(the_options), host(the_host), poller(std::move(the_poller)) {}
  ~State() override { netns.clear(); }  // connections tell of their end

  // ---- ProxyOutput ----
  void reply(const ClientHandle& client, std::span<const std::uint8_t> message) override {
    if (const auto udp = places.find(client.place); udp != places.end()) {
      udp->second->datagrams().queue_reply(client.token, message);
      mark_replied(*udp->second);
    } else if (const auto tcp = connections.find(client.place); tcp != connections.end()) {
      tcp->second->streams().reply(client, message, now);
      mark_replied(*tcp->second);
    }
  }
  void report(const Event& event) override { host.report(event); }
  Asker find_asker(std::uint64_t cgroup_id) override { return host.find_asker_of_cgroup(cgroup_id); }

  void mark_replied(ServedPlace& place) {
    if (!std::exchange(place.has_replies, true)) replied.push_back(&place);
  }

  Result<FileDescriptor> make_socket(std::uint64_t cookie, int family, int type) {
    if (cookie == 0) {
      FileDescriptor made(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (!made) return fail_errno(errno, "cannot open a socket towards a resolver");
      return made;
    }
    const auto found = netns.find(cookie);
    if (found == netns.end() || !options.make_socket) {
      return fail(ErrorKind::kNotFound, "nothing leads into the network namespace of the resolver");
    }
    return options.make_socket(found->second.handle, family, type);
  }

  std::uint64_t find_peer_cgroup(std::uint64_t cookie, const ResolverAddress& its_local,
                                 const ResolverAddress& its_remote, const ResolverAddress& resolver) {
    const auto found = netns.find(cookie);
    if (found == netns.end()) return 0;
    const int diagnosis = found->second.handle.diagnosis.get();
    auto cgroup = find_cgroup_of_connection(diagnosis, its_local, its_remote);
    // nftables redirects packets: the peer's socket is connected to the resolver.
    if (!cgroup && cgroup.error().kind == ErrorKind::kNotFound) {
      cgroup = find_cgroup_of_connection(diagnosis, its_local, resolver);
    }
    if (cgroup) return *cgroup;
    tell_of_unknown(found->second, cookie, IPPROTO_TCP, its_local);
    return 0;
  }

  void tell_of_unknown(Netns& where, std::uint64_t cookie, std::uint8_t protocol, const ResolverAddress& sender) {
    ++unknown_askers;
    if (now < where.next_unknown_event) {
      ++where.unknown_left_out;
      return;
    }
    where.next_unknown_event = now + kUnknownAskerEvery;
    Event event;
    event.time = now;
    event.hook = Hook::kQuestion;
    event.reason = NW_REASON_ASKER_UNKNOWN;
    event.ip_protocol = protocol;
    event.address = sender.address;
    event.port = sender.port;
    event.netns_cookie = cookie;
    event.left_out = std::exchange(where.unknown_left_out, 0);
    host.report(event);
  }

  void take_question(ServedPlace& place, const ClientHandle& client, const Asker& asker, bool over_tcp,
                     std::span<const std::uint8_t> message) {
    const UpstreamTarget* target = place.target_of(asker);
    if (target == nullptr) {
      Event event;
      event.time = now;
      event.cgroup_id = asker->front().cgroup_id;
      event.hook = Hook::kQuestion;
      event.reason = NW_REASON_UNTRUSTED_RESOLVER;
      event.ip_protocol = over_tcp ? IPPROTO_TCP : IPPROTO_UDP;
      event.address = place.resolver().address;
      event.port = place.resolver().port;
      host.report(event);
      return;
    }
    core->on_question({client, asker, *target, over_tcp, 0, 0, message}, now);
  }

  Asker asker_of(std::uint64_t cookie, const Datagram& datagram) {
    const auto token = static_cast<AskerToken>(options.use_marks ? datagram.mark >> kTokenShift : 0);
    if (token != 0) return host.find_asker(token);
    const ResolverAddress sender = datagram.sender.where();
    return host.take_asker(
        {cookie, sender.address, sender.port, std::vector(datagram.message.begin(), datagram.message.end())});
  }

  void take_datagrams(ServedPlace& place) {
    const std::uint64_t cookie = place.place_of(Protocol::kUdp).netns_cookie;
    const std::span<const Datagram> datagrams = place.datagrams().receive(batch);
    taken += datagrams.size();
    for (const Datagram& datagram : datagrams) {
      const Asker asker = asker_of(cookie, datagram);
      if (!asker) {
        tell_of_unknown(netns.at(cookie), cookie, IPPROTO_UDP, datagram.sender.where());
        continue;
      }
      take_question(place, {place.udp_number(), place.datagrams().token_of(datagram)}, asker, false, datagram.message);
    }
  }

  void dispatch(const epoll_event& event) {
    const std::uint64_t number = event.data.u64;
    if ((number & AresUpstream::kNumberBit) != 0) return upstream->on_ready(number, event.events);
    if (const auto place = places.find(number); place != places.end()) return take_datagrams(*place->second);
    if (const auto place = listening.find(number); place != listening.end()) {
      return place->second->streams().on_listening_ready(now);
    }
    if (const auto place = connections.find(number); place != connections.end()) {
      place->second->streams().on_connection_ready(number, event.events, now);
    }
  }

  bool is_calm() const { return !more_waits && taken < kFewQuestions; }

  void send_replies() {
    for (ServedPlace* place : std::exchange(replied, {})) {
      place->has_replies = false;
      place->datagrams().flush();
      place->streams().flush(now);
    }
  }

  void tick() {
    if (now < next_tick) return;
    next_tick = now + kTickEvery;
    upstream->tick(now);
    core->tick(now);
    fresh->run(now);
    for (const auto& [number, place] : listening) place->streams().tick(now);
  }

  void withdraw(Served& served) {
    ServedPlace& place = *served.place;
    host.withdraw(place.place_of(Protocol::kUdp));
    host.withdraw(place.place_of(Protocol::kTcp));
    core->forget_place(place.udp_number());
    std::erase(replied, &place);
    places.erase(place.udp_number());
    listening.erase(place.tcp_number());
    served.place.reset();
  }

  DnsProxyOptions options;
  ProxyHost& host;
  Poller poller;
  DatagramBatch batch;
  ConnectionCounts counts{max_connections()};
  std::unique_ptr<AresUpstream> upstream;
  std::optional<ProxyCore> core;
  std::optional<AgentResolver> fresh;
  std::map<std::uint64_t, Netns> netns;
  std::unordered_map<std::uint64_t, ServedPlace*> places, listening, connections;  // by number
  std::vector<ServedPlace*> replied;
  std::uint64_t next_number = 1;
  BootTime now = boot_now(), next_tick;
  std::uint64_t unknown_askers = 0;
  bool more_waits = false;
  std::size_t taken = 0;  // questions, in this round
};

Result<DnsProxy> DnsProxy::open(const DnsProxyOptions& options, ProxyHost& host) {
  auto poller = Poller::open();
  if (!poller) return tl::unexpected(poller.error());
  auto state = std::make_unique<State>(options, host, std::move(*poller));
  AresUpstreamOptions upstream_options;
  upstream_options.make_socket = [proxy = state.get()](std::uint64_t cookie, int family, int type) {
    return proxy->make_socket(cookie, family, type);
  };
  auto upstream = AresUpstream::open(std::move(upstream_options), state->poller);
  if (!upstream) return tl::unexpected(upstream.error());
  state->upstream = std::move(*upstream);
  if (state->options.limits.seed == 0 &&
      ::getrandom(&state->options.limits.seed, sizeof state->options.limits.seed, 0) < 0) {
    return fail_errno(errno, "cannot have random numbers");
  }
  state->core.emplace(*state->upstream, host.sink(), *state, state->options.limits);
  state->fresh.emplace(
      *state->upstream, host.sink(), [&host](const Event& event) { host.report(event); },
      AgentResolverLimits{.seed = state->options.limits.seed});
  return DnsProxy(std::move(state));
}

DnsProxy::DnsProxy(std::unique_ptr<State> state) : state_(std::move(state)) {}
DnsProxy::DnsProxy(DnsProxy&&) noexcept = default;
DnsProxy& DnsProxy::operator=(DnsProxy&&) noexcept = default;
DnsProxy::~DnsProxy() = default;

Result<void> DnsProxy::add_netns(ProxyNetns netns) {
  const std::uint64_t cookie = netns.cookie;
  const bool is_new = state_->netns.try_emplace(cookie, State::Netns{std::move(netns), {}, {}, 0}).second;
  if (!is_new) return fail(ErrorKind::kConflict, "the network namespace is served already");
  return {};
}

Result<void> DnsProxy::add_sockets(std::uint64_t netns_cookie, const ResolverAddress& resolver, ProxySockets sockets) {
  const auto where = locate(sockets);
  if (!where) return tl::unexpected(where.error());
  const auto found = state_->netns.find(netns_cookie);
  if (found == state_->netns.end()) return fail(ErrorKind::kNotFound, "the network namespace is not served");
  if (where->netns_cookie != netns_cookie || where->is_ipv6 == resolver.address.is_v4()) {
    return fail(ErrorKind::kInvalid, "the sockets are of another network namespace or family");
  }
  State::Served& served = found->second.served[resolver];
  if (served.place) return fail(ErrorKind::kConflict, "the resolver has its sockets already");
  served.streams = std::make_unique<State::Streams>(*state_, netns_cookie);
  const std::uint64_t number = state_->next_number;
  state_->next_number += 2;
  const std::uint64_t target_netns = netns_cookie == state_->options.own_netns_cookie ? 0 : netns_cookie;
  served.place = std::make_unique<ServedPlace>(std::move(sockets), *where, resolver, target_netns, number,
                                               state_->poller, *served.streams);
  served.streams->place = served.place.get();
  state_->places[served.place->udp_number()] = served.place.get();
  state_->listening[served.place->tcp_number()] = served.place.get();
  for (const Protocol protocol : {Protocol::kUdp, Protocol::kTcp}) {
    if (auto announced = state_->host.announce(served.place->place_of(protocol)); !announced) {
      state_->withdraw(served);
      found->second.served.erase(resolver);
      return announced;
    }
  }
  return {};
}

bool DnsProxy::serves(std::uint64_t netns_cookie, const ResolverAddress& resolver) const {
  const auto found = state_->netns.find(netns_cookie);
  return found != state_->netns.end() && found->second.served.contains(resolver);
}

void DnsProxy::remove_netns(std::uint64_t netns_cookie) {
  const auto found = state_->netns.find(netns_cookie);
  if (found == state_->netns.end()) return;
  for (auto& [resolver, served] : found->second.served) state_->withdraw(served);
  state_->netns.erase(found);
  state_->upstream->forget_netns(netns_cookie);
}

std::vector<std::uint64_t> DnsProxy::namespaces() const {
  std::vector<std::uint64_t> cookies;
  for (const auto& [cookie, netns] : state_->netns) cookies.push_back(cookie);
  return cookies;
}

void DnsProxy::set_own_addresses(std::vector<Address> addresses) {
  state_->fresh->set_own_addresses(addresses);
  state_->core->set_own_addresses(std::move(addresses));
}

void DnsProxy::forget_workload(std::uint64_t cgroup_id) {
  for (const auto& [number, place] : state_->places) place->forget_askers();
  state_->core->forget_workload(cgroup_id);
}

void DnsProxy::keep_fresh(const std::vector<Asker>& workloads) { state_->fresh->keep_fresh(workloads, boot_now()); }

int DnsProxy::fd() const { return state_->poller.fd(); }

void DnsProxy::serve() {
  State& state = *state_;
  std::array<epoll_event, kReadyAtOnce> room;
  state.more_waits = false;
  for (int round = 0; round < kRoundsPerServe; ++round) {
    state.now = boot_now();
    state.taken = 0;
    state.core->set_time(state.now);
    state.fresh->set_time(state.now);
    state.tick();
    const auto ready = state.poller.ready(room);
    state.core->begin_batch();
    for (const epoll_event& event : ready) state.dispatch(event);
    bool more = true;
    for (int turn = 0; turn < kTurnsPerRound && more; ++turn) more = state.core->run_turn(state.now);
    state.core->end_batch();
    state.send_replies();
    state.upstream->flush();
    state.more_waits = more || !state.replied.empty() || state.upstream->needs_flush();
    // Looking again is worth it where more came meanwhile; a few questions are not, and the caller looks, too.
    if (ready.empty() ? !state.more_waits : state.is_calm()) return;
  }
}

std::optional<BootTime> DnsProxy::next_deadline() const {
  const State& state = *state_;
  if (state.more_waits) return state.now;
  const AresUpstream::Figures upstream = state.upstream->figures();
  if (upstream.in_flight > 0 || state.counts.all() > 0) return state.next_tick;
  std::optional<BootTime> deadline = state.fresh->next_deadline();
  if (deadline) deadline = std::max(*deadline, state.next_tick);
  if (upstream.channels > 0) deadline = std::min(deadline.value_or(kNever), state.now + kIdleTick);
  return deadline;
}

ProxyFigures DnsProxy::figures() const { return state_->core->figures(); }

std::vector<std::pair<std::uint64_t, ProxyFigures>> DnsProxy::figures_by_workload() const {
  return state_->core->figures_by_workload();
}

ProxySocketFigures DnsProxy::socket_figures() const {
  const AresUpstream::Figures upstream = state_->upstream->figures();
  ProxySocketFigures figures;
  figures.unknown_askers = state_->unknown_askers;
  figures.stray_answers = upstream.stray;
  figures.channels = upstream.channels;
  figures.connections = state_->counts.all();
  for (const auto& [number, place] : state_->places) figures.lost_replies += place->datagrams().lost_replies();
  return figures;
}

}  // namespace namewall::agent
