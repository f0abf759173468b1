#include "agent/proxy/ares_upstream.h"

#include <ares.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "agent/proxy/ares_channel.h"

namespace namewall::agent {
namespace {

constexpr int kFlushRounds = 4;  // what is called back may ask again

// Of a question as ask() takes it: its additional section is an OPT or nothing.
bool has_opt(const std::vector<std::uint8_t>& query) { return query.size() > 12 && query[11] != 0; }

// The channels towards one resolver for questions with an OPT, or without one.
struct Pool {
  struct Member {
    std::unique_ptr<AresChannel> channel;
    BootTime born;
  };
  std::array<Member, AresUpstream::kChannels> members;
  std::vector<std::unique_ptr<AresChannel>> retired;  // until what is in flight has ended
  BootTime used;

  void retire(Member& member) {
    if (member.channel) retired.push_back(std::move(member.channel));
  }
};

}  // namespace

struct AresUpstream::State {
  State(AresUpstreamOptions options, Poller& poller) : around(std::move(options), poller) {}

  AresSurroundings around;
  std::map<std::pair<UpstreamTarget, bool>, Pool> pools;
  BootTime now;
  std::uint16_t turn = 0;  // which member of each pool is asked

  Result<AresChannel*> choose(const UpstreamTarget& target, bool with_edns) {
    Pool& pool = pools[{target, with_edns}];
    pool.used = now;
    Pool::Member& member = pool.members[turn % pool.members.size()];
    if (member.channel && member.channel->questions() >= kQuestionsPerChannel) pool.retire(member);
    if (!member.channel) {
      auto opened = AresChannel::open(around, target, with_edns);
      if (!opened) return tl::unexpected(opened.error());
      member = {std::move(*opened), now};
    }
    if (member.channel->in_flight() >= kMaxInFlight) {
      return fail(ErrorKind::kLimit, "too many questions to one resolver wait");
    }
    return member.channel.get();
  }

  void tend(Pool& pool) {
    for (Pool::Member& member : pool.members) {
      if (!member.channel) continue;
      member.channel->check_timeouts();
      const bool is_old = now - member.born >= kChannelLife && member.channel->questions() > 0;
      if (is_old || member.channel->has_lost_edns()) pool.retire(member);
    }
    for (const auto& channel : pool.retired) channel->check_timeouts();
    std::erase_if(pool.retired, [](const auto& channel) { return channel->in_flight() == 0; });
  }
};

Result<std::unique_ptr<AresUpstream>> AresUpstream::open(AresUpstreamOptions options, Poller& poller) {
  static const int initialized = ::ares_library_init(ARES_LIB_INIT_ALL);
  if (initialized != ARES_SUCCESS) {
    return fail(ErrorKind::kSystem, std::string("cannot set c-ares up: ") + ::ares_strerror(initialized));
  }
  return std::unique_ptr<AresUpstream>(new AresUpstream(std::make_unique<State>(std::move(options), poller)));
}

AresUpstream::AresUpstream(std::unique_ptr<State> state) : state_(std::move(state)) {}
AresUpstream::~AresUpstream() = default;

void AresUpstream::ask(const UpstreamTarget& target, std::vector<std::uint8_t> query, Done done) {
  ++state_->around.figures.questions;
  const bool with_edns = has_opt(query);
  if (const auto channel = state_->choose(target, with_edns)) {
    (*channel)->ask(std::move(query), std::move(done));
  } else {
    ++state_->around.figures.failures;
    state_->around.failed.push_back({std::move(done), channel.error()});
  }
}

void AresUpstream::on_ready(std::uint64_t number, std::uint32_t events) {
  const int fd = static_cast<int>(number & ~kNumberBit);
  const auto owner = state_->around.owner_of.find(fd);
  if (owner != state_->around.owner_of.end()) owner->second->on_ready(fd, events);
}

bool AresUpstream::needs_flush() const { return !state_->around.unsent.empty() || !state_->around.failed.empty(); }

void AresUpstream::flush() {
  AresSurroundings& around = state_->around;
  for (int round = 0; round < kFlushRounds && needs_flush(); ++round) {
    for (const int fd : std::exchange(around.unsent, {})) {
      const auto owner = around.owner_of.find(fd);
      if (owner != around.owner_of.end()) owner->second->send_queued(fd);
    }
    for (auto& failed : std::exchange(around.failed, {})) failed.done(tl::unexpected(std::move(failed.error)));
  }
  state_->turn = around.ids.next();
}

void AresUpstream::tick(BootTime now) {
  state_->now = now;
  const bool deferred = std::exchange(state_->around.defers, true);
  for (auto at = state_->pools.begin(); at != state_->pools.end();) {
    Pool& pool = at->second;
    state_->tend(pool);
    if (now - pool.used >= kIdle) {
      for (Pool::Member& member : pool.members) pool.retire(member);
    }
    bool is_empty = pool.retired.empty();
    for (const Pool::Member& member : pool.members) is_empty &= member.channel == nullptr;
    at = is_empty ? state_->pools.erase(at) : std::next(at);
  }
  state_->around.defers = deferred;
}

void AresUpstream::forget_netns(std::uint64_t cookie) {
  for (auto at = state_->pools.begin(); at != state_->pools.end();) {
    if (at->first.first.netns_cookie != cookie) {
      ++at;
      continue;
    }
    Pool& pool = at->second;
    for (Pool::Member& member : pool.members) pool.retire(member);
    for (const auto& channel : pool.retired) channel->fail_all();
    at = state_->pools.erase(at);
  }
}

AresUpstream::Figures AresUpstream::figures() const {
  Figures figures = state_->around.figures;
  for (const auto& [key, pool] : state_->pools) {
    for (const Pool::Member& member : pool.members) {
      if (!member.channel) continue;
      ++figures.channels;
      figures.in_flight += member.channel->in_flight();
    }
    for (const auto& channel : pool.retired) {
      ++figures.channels;
      figures.in_flight += channel->in_flight();
    }
  }
  return figures;
}

}  // namespace namewall::agent
