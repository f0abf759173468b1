#include "tests/replay/proxy_script.h"

#include <deque>
#include <sstream>

#include "agent/proxy/agent_resolver.h"
#include "policy/policy_loader.h"
#include "tests/replay/script_words.h"
#include "tests/support/proxy_doubles.h"

namespace namewall::testing {
namespace {

using agent::Asker;

std::string join(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

Bytes negative_answer(AnswerBuilder answer, std::uint32_t ttl) {
  Bytes soa(2 + 20, 0);  // two root names, then five numbers; the last is MINIMUM
  for (unsigned i = 0; i < 4; ++i) soa[18 + i] = static_cast<std::uint8_t>(ttl >> (24 - 8 * i));
  Bytes message =
      answer.rcode(3).record({.owner = "example", .type = 6, .ttl = ttl, .data = soa, .target = ""}).build();
  std::swap(message[7], message[9]);  // ANCOUNT, NSCOUNT
  return message;
}

// What a double has seen, in the words that an expectation uses. The words of the expectation must be among them, in
// this order: what a script does not care for it leaves out.
bool says(const Words& seen, const Words& expected) {
  std::size_t at = 0;
  for (const std::string& word : seen) at += at < expected.size() && expected[at] == word;
  return at == expected.size();
}

class ProxyReplay {
 public:
  std::string run(const Words& words, const std::string& block) {
    if (words[0] == "policy") return add_policy(block);
    if (words[0] == "limits") return set_limits(words);
    if (words[0] == "workload") return set_workload(words);
    if (words[0] == "at" && words.size() >= 3) return run_at(words);
    return "not a line of a proxy script";
  }
  std::size_t expectations() const { return expectations_; }

 private:
  struct Workload {
    std::uint64_t cgroup_id;
    std::string under;
    std::shared_ptr<const PolicyImage> image;
  };

  std::string add_policy(const std::string& text) {
    Loaded<Policy> loaded = load_policy(text, Format::kToml, "policy");
    if (!loaded.ok()) return loaded.diagnostics.front().to_string();
    const ResolvConf system{.nameservers = {{address_of("192.0.2.53"), Port{53}}}, .search = {}, .ndots = 1};
    Result<PolicyImage> image = compile_policy(loaded.value, HostPolicy{}, system);
    if (!image) return image.error().what;
    images_[image->name] = std::make_shared<PolicyImage>(*image);
    return "";
  }

  std::string set_limits(const Words& words) {
    for (std::size_t i = 1; i + 1 < words.size(); i += 2) {
      const auto number = parse_number(words[i + 1]);
      if (!number || (words[i] != "flights" && words[i] != "cache")) return "not a limit";
      (words[i] == "flights" ? limits_.flights : limits_.cache_bytes) = *number;
    }
    return core_ ? "limits come first" : "";
  }

  std::string set_workload(const Words& words) {
    const bool is_nested = words.size() == 5 && words[2] == "under";
    if ((words.size() != 3 && !is_nested) || images_.count(words.back()) == 0) return "not a workload";
    const auto [at, is_new] = workloads_.try_emplace(words[1], Workload{workloads_.size() + 1, "", nullptr});
    at->second.under = is_nested ? words[3] : "";
    at->second.image = images_[words.back()];
    start();
    refresh_askers();
    if (!is_new) core_->forget_workload(at->second.cgroup_id);
    return "";
  }

  void start() {
    if (core_) return;
    core_.emplace(upstream_, sink_, clients_, limits_);
    resolver_.emplace(
        upstream_, sink_, [this](const Event& event) { clients_.report(event); }, agent::AgentResolverLimits{});
  }

  void refresh_askers() {
    clients_.askers.clear();
    for (const auto& [name, workload] : workloads_) {
      auto levels = std::make_shared<std::vector<agent::AskerLevel>>();
      for (std::string at = name; !at.empty(); at = workloads_.at(at).under) {
        const Workload& level = workloads_.at(at);
        levels->push_back({level.cgroup_id, at, level.image});
      }
      clients_.askers[workload.cgroup_id] = levels;
    }
  }

  std::string run_at(const Words& words) {
    const std::optional<BootTime> time = parse_time(words[1]);
    if (!time || *time + kStart < now_) return "the time does not parse or goes back";
    if (!core_) return "no workload yet";
    pass_to(*time + kStart);
    const std::string& action = words[2];
    const Words rest(words.begin() + 3, words.end());
    if (action == "turn" && rest.empty()) return turn();
    if (action == "keep" && rest.empty()) return keep();
    if (rest.empty()) return "not an action";
    if (action == "ask") return ask(rest);
    if (action == "answer") return answer(rest);
    if (action == "forget") return core_->forget_place(place_of(rest[0])), "";
    if (action == "gone") return lose(rest[0]);
    if (action == "sink") return set_sink(rest[0]);
    if (action == "expect") return expect(rest);
    return "not an action";
  }

  // With the ticks and the lookups of the agent that fall due on the way.
  void pass_to(BootTime time) {
    while (resolver_->next_deadline() && *resolver_->next_deadline() <= time) {
      now_ = std::max(now_, *resolver_->next_deadline());
      resolver_->run(now_);
    }
    now_ = time;
    core_->tick(now_);
    resolver_->set_time(now_);
  }

  std::string turn() {
    while (core_->run_turn(now_)) {
    }
    return "";
  }

  std::string keep() {
    std::vector<Asker> askers;
    for (const auto& [cgroup_id, asker] : clients_.askers) askers.push_back(asker);
    resolver_->keep_fresh(askers, now_);
    resolver_->run(now_);
    return "";
  }

  std::string ask(const Words& words) {
    if (words.size() < 2 || workloads_.count(words[0]) == 0) return "not a workload";
    std::uint16_t type = kTypeA;
    std::uint32_t size = 0, times = 1;
    bool over_tcp = false;
    std::string client = words[0];
    for (std::size_t i = 2; i < words.size(); ++i) {
      const bool has_value = i + 1 < words.size();
      if (words[i] == "AAAA")
        type = kTypeAaaa;
      else if (words[i] == "tcp")
        over_tcp = true;
      else if (words[i] == "from" && has_value)
        client = words[++i];
      else if (words[i] == "size" && has_value)
        size = parse_number(words[++i]).value_or(0);
      else if (words[i] == "times" && has_value)
        times = parse_number(words[++i]).value_or(1);
      else if (words[i] != "A")
        return "not a question";
    }
    for (std::uint32_t i = 1; i <= times; ++i) {
      const std::string name = times == 1 ? words[1] : "n" + std::to_string(i) + "." + words[1];
      Bytes message = build_question({.id = 1, .name = name_of(name), .type = type});
      if (size != 0) message = with_opt(std::move(message), static_cast<std::uint16_t>(size));
      core_->on_question({{place_of(client), ++last_token_},
                          clients_.askers.at(workloads_.at(words[0]).cgroup_id),
                          {0, {address_of("192.0.2.53"), Port{53}}, {}},
                          over_tcp,
                          0,
                          0,
                          message},
                         now_);
    }
    return "";
  }

  std::string answer(const Words& words) {
    std::size_t at = 1;
    std::uint16_t type = kTypeA;
    if (at < words.size() && (words[at] == "A" || words[at] == "AAAA") &&
        (at + 1 == words.size() || words[at + 1].find_first_not_of("0123456789") != std::string::npos)) {
      type = words[at++] == "A" ? kTypeA : kTypeAaaa;
    }
    core_->set_time(now_);
    AnswerBuilder message(words[0], type);
    bool was_asked = false;
    if (at < words.size() && words[at] == "none") {
      was_asked = upstream_.fail(words[0], type);
    } else if (at + 1 < words.size() && words[at] == "nxdomain") {
      was_asked = upstream_.answer(words[0], negative_answer(message, parse_number(words[at + 1]).value_or(0)), type);
    } else {
      if (at < words.size() && words[at] == "servfail") message.rcode(2), ++at;
      for (; at + 2 < words.size(); at += 3) {
        const auto ttl = parse_number(words[at + 1]);
        std::string address = words[at + 2];
        if (address.ends_with(',')) address.pop_back();
        if (!ttl || (words[at] != "A" && words[at] != "AAAA")) return "not a record";
        words[at] == "A" ? message.a(words[0], *ttl, address) : message.aaaa(words[0], *ttl, address);
      }
      if (at != words.size()) return "not an answer";
      was_asked = upstream_.answer(words[0], message.build(), type);
    }
    resolver_->run(now_);
    return was_asked ? "" : "the resolver is not asked that";
  }

  std::string lose(const std::string& name) {
    if (workloads_.count(name) == 0) return "not a workload";
    const std::uint64_t cgroup_id = workloads_.at(name).cgroup_id;
    clients_.askers.erase(cgroup_id);
    core_->forget_workload(cgroup_id);
    return "";
  }

  std::string set_sink(const std::string& code) {
    const auto reason = code == "ok" ? NW_REASON_NONE : reason_of_code(code).value_or(NW_REASON_COUNT);
    if (reason == NW_REASON_COUNT) return "not a reason";
    sink_.refuse = [reason](auto, auto&) { return reason; };
    return "";
  }

  // ---- what was seen ----

  std::string expect(const Words& words) {
    ++expectations_;
    if (words[0] == "asked") return expect_asked(Words(words.begin() + 1, words.end()));
    if (words[0] == "waiting" && words.size() == 2) {
      const std::string waiting = std::to_string(core_->figures().waiting);
      return waiting == words[1] ? "" : waiting + " questions wait";
    }
    const bool none = words[0] == "no" && words.size() == 2;
    const std::string& what = none ? words[1] : words[0];
    std::optional<Words> seen;
    if (what == "reply")
      seen = next_reply();
    else if (what == "lesson")
      seen = next_lesson();
    else if (what == "event")
      seen = next_event();
    else
      return "not an expectation";
    if (none) return seen ? "there is a " + what + ": " + join(*seen) : "";
    if (!seen) return "there is no " + what;
    return says(*seen, Words(words.begin() + 1, words.end())) ? "" : "the " + what + " is: " + join(*seen);
  }

  std::string expect_asked(const Words& names) {
    Words asked;
    for (; asked_seen_ < upstream_.total; ++asked_seen_) asked.push_back(upstream_.names.at(asked_seen_));
    return asked == names ? "" : "the resolver was asked: " + join(asked);
  }

  std::optional<Words> next_reply() {
    if (replies_seen_ == clients_.replies.size()) return std::nullopt;
    const FakeClients::Reply& reply = clients_.replies[replies_seen_++];
    constexpr const char* kCodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
    Words words = {places_.at(reply.client.place), reply.truncated() ? "TC" : kCodes[reply.rcode() % 6]};
    const auto add = [&](Words more) { words.insert(words.end(), more.begin(), more.end()); };
    add({std::to_string(reply.answers()), "answers"});
    const auto read = parse_answer(reply.message);
    if (read && !read->addresses.empty()) add({"ttl", std::to_string(read->addresses[0].ttl)});
    if (reply.extended_error() != 0) add({"ede", std::to_string(reply.extended_error())});
    return words;
  }

  std::optional<Words> next_lesson() {
    if (lessons_seen_ == sink_.taught.size()) return std::nullopt;
    const auto& [cgroup_id, lesson] = sink_.taught[lessons_seen_++];
    Words words = {workload_of(cgroup_id), lesson.name.text()};
    for (const Grant& grant : lesson.grants) words.push_back(grant.address.to_string());
    if (!lesson.grants.empty()) {
      const BootTime deadline = lesson.grants[0].deadline;
      words.push_back("for");
      words.push_back(deadline == kNever
                          ? "ever"
                          : std::to_string(std::chrono::duration_cast<std::chrono::seconds>(deadline - now_).count()));
    }
    if (lesson.replaces_family != 0) {
      words.push_back("replaces");
      words.push_back(std::to_string(lesson.replaces_family));
    }
    return words;
  }

  std::optional<Words> next_event() {
    if (events_seen_ == clients_.events.size()) return std::nullopt;
    const Event& event = clients_.events[events_seen_++];
    Words words = {workload_of(event.cgroup_id), std::string(code_of(event.reason)), event.name};
    if (event.audit) words.push_back("audit");
    return words;
  }

  std::string workload_of(std::uint64_t cgroup_id) const {
    for (const auto& [name, workload] : workloads_) {
      if (workload.cgroup_id == cgroup_id) return name;
    }
    return "?";
  }

  std::uint64_t place_of(const std::string& client) {
    for (const auto& [place, name] : places_) {
      if (name == client) return place;
    }
    const std::uint64_t place = places_.size() + 1;
    places_[place] = client;
    return place;
  }

  struct CountingUpstream : FakeUpstream {
    void ask(const agent::UpstreamTarget& target, std::vector<std::uint8_t> query, Done done) override {
      FakeUpstream::ask(target, std::move(query), std::move(done));
      names.push_back(asked.back().question().name.text());
      ++total;
    }
    Words names;
    std::size_t total = 0;
  };

  static constexpr Nanoseconds kStart = std::chrono::seconds(1000);
  std::map<std::string, std::shared_ptr<const PolicyImage>> images_;
  std::map<std::string, Workload> workloads_;
  std::map<std::uint64_t, std::string> places_;
  agent::ProxyLimits limits_{.workload_bytes = 64u << 20};
  CountingUpstream upstream_;
  FakeSink sink_;
  FakeClients clients_;
  std::optional<agent::ProxyCore> core_;
  std::optional<agent::AgentResolver> resolver_;
  BootTime now_{kStart};
  std::uint64_t last_token_ = 0;
  std::size_t asked_seen_ = 0, replies_seen_ = 0, lessons_seen_ = 0, events_seen_ = 0;
  std::size_t expectations_ = 0;
};

}  // namespace

ReplayOutcome run_proxy_script(const std::string& file_name, const std::string& text) {
  ProxyReplay replay;
  ReplayOutcome outcome;
  outcome.failure = run_lines(file_name, text, {"policy"},
                              [&](const Words& words, const std::string& block) { return replay.run(words, block); });
  outcome.expectations = replay.expectations();
  return outcome;
}

}  // namespace namewall::testing
