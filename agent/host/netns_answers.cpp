#include "agent/host/netns_answers.h"

#include <deque>
#include <list>
#include <map>
#include <utility>

namespace namewall::agent {
namespace {

// Workloads make namespaces: the other half of the helper's room is for the daemon's own requests.
constexpr std::size_t kMaxOpening = PrivilegedHelper::kMaxWaiting / 2;

struct Question {
  Event event;
  RefusalWords words;
};

}  // namespace

struct NetnsAnswers::State {
  struct Place {
    std::optional<RefusalAnswerer> answerer;
    std::deque<Question> waiting;  // while the helper opens it
    BootTime failed_until;         // without an answerer: not tried before
    bool is_opening = false;
    BootTime last_use;
    std::list<std::uint64_t>::iterator recency;
  };

  State(PrivilegedHelper& privileged_helper, RefusalAnswerer own_answerer, std::uint64_t cookie)
      : helper(privileged_helper), own(std::move(own_answerer)), own_cookie(cookie) {}

  PrivilegedHelper& helper;
  RefusalAnswerer own;
  std::uint64_t own_cookie;
  std::map<std::uint64_t, Place> places;  // by netns cookie
  std::list<std::uint64_t> used;          // the latest first
  std::size_t waiting = 0;
  Figures figures;

  void send(RefusalAnswerer& answerer, const Question& question, BootTime now) {
    ++(answerer.answer(question.event, question.words, now) ? figures.sent : figures.left);
  }

  Place& place_of(std::uint64_t cookie, BootTime now) {
    const auto found = places.find(cookie);
    if (found != places.end()) {
      found->second.last_use = now;
      used.splice(used.begin(), used, found->second.recency);
      return found->second;
    }
    if (places.size() >= kMaxNamespaces) forget(used.back());
    used.push_front(cookie);
    Place& place = places[cookie];
    place.recency = used.begin();
    place.last_use = now;
    return place;
  }

  void forget(std::uint64_t cookie) {
    const auto found = places.find(cookie);
    figures.left += found->second.waiting.size();
    waiting -= found->second.waiting.size();
    used.erase(found->second.recency);
    places.erase(found);
  }

  void take_sockets(std::uint64_t cookie, Result<NetnsSockets> sockets, BootTime now) {
    const auto found = places.find(cookie);
    if (found == places.end()) return;  // it has given way
    Place& place = found->second;
    place.is_opening = false;
    auto answerer = sockets ? RefusalAnswerer::adopt(std::move(sockets->answers))
                            : Result<RefusalAnswerer>(tl::unexpected(sockets.error()));
    const auto questions = std::exchange(place.waiting, {});
    waiting -= questions.size();
    if (!answerer) {
      ++figures.failed_opens;
      figures.left += questions.size();
      place.failed_until = now + kRetryAfter;
      return;
    }
    place.answerer.emplace(std::move(*answerer));
    for (const Question& question : questions) send(*place.answerer, question, now);
  }
};

NetnsAnswers::NetnsAnswers(PrivilegedHelper& helper, RefusalAnswerer own, Clock clock) : clock_(std::move(clock)) {
  const std::uint64_t cookie = own.netns_cookie();
  state_ = std::make_shared<State>(helper, std::move(own), cookie);
}
NetnsAnswers::NetnsAnswers(NetnsAnswers&&) noexcept = default;
NetnsAnswers& NetnsAnswers::operator=(NetnsAnswers&&) noexcept = default;
NetnsAnswers::~NetnsAnswers() = default;

void NetnsAnswers::answer(const Event& event, RefusalWords words) {
  const BootTime now = clock_();
  State& state = *state_;
  if (event.packet.empty() || event.netns_cookie == 0 || now - event.time > RefusalAnswerer::kMaxAge) {
    ++state.figures.left;
    return;
  }
  if (event.netns_cookie == state.own_cookie) return state.send(state.own, {event, std::move(words)}, now);
  State::Place& place = state.place_of(event.netns_cookie, now);
  if (place.answerer) return state.send(*place.answerer, {event, std::move(words)}, now);
  if (!place.is_opening && (now < place.failed_until || event.pid == 0)) {
    ++state.figures.left;
    return;
  }
  const bool asks = !place.is_opening;
  if (state.waiting == kMaxWaitingEvents || (asks && state.helper.waiting() >= kMaxOpening)) {
    ++state.figures.overrun;
    return;
  }
  place.waiting.push_back({event, std::move(words)});
  ++state.waiting;
  if (!asks) return;
  place.is_opening = true;
  state.helper.open_sockets(
      event.pid, event.netns_cookie, now,
      [weak = std::weak_ptr(state_), clock = clock_, cookie = event.netns_cookie](Result<NetnsSockets> sockets) {
        if (const auto alive = weak.lock()) {
          alive->take_sockets(cookie, std::move(sockets), clock());
        }
      });
}

void NetnsAnswers::drop_idle() {
  const BootTime now = clock_();
  State& state = *state_;
  while (!state.used.empty() && now - state.places.at(state.used.back()).last_use >= kIdle) {
    state.forget(state.used.back());
  }
}

const NetnsAnswers::Figures& NetnsAnswers::figures() const { return state_->figures; }

}  // namespace namewall::agent
