// What ProxyCore stands between, for tests: a resolver that answers when told to, a kernel that can refuse, clients.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/proxy/grant_sink.h"
#include "agent/proxy/proxy_core.h"
#include "agent/proxy/upstream.h"
#include "tests/support/dns_builder.h"

namespace namewall::testing {

class FakeUpstream : public agent::Upstream {
 public:
  struct Asked {
    agent::UpstreamTarget target;
    Bytes query;
    Done done;
    DnsQuestion question() const { return parse_question(query).value(); }
  };

  void ask(const agent::UpstreamTarget& target, std::vector<std::uint8_t> query, Done done) override {
    asked.push_back({target, std::move(query), std::move(done)});
  }

  // To the first unanswered question for that name (and type, where given).
  bool answer(const std::string& name, std::span<const std::uint8_t> message, std::uint16_t type = 0) {
    const auto done = take(name, type);
    if (done) done(message);
    return done != nullptr;
  }
  bool fail(const std::string& name, std::uint16_t type = 0) {
    const auto done = take(name, type);
    if (done) done(namewall::fail(ErrorKind::kSystem, "no resolver answers"));
    return done != nullptr;
  }

  std::vector<Asked> asked;  // and not answered yet

 private:
  Done take(const std::string& name, std::uint16_t type) {
    const auto at = std::ranges::find_if(asked, [&](const Asked& one) {
      return one.question().name.text() == name && (type == 0 || one.question().type == type);
    });
    if (at == asked.end()) return nullptr;
    Done done = std::move(at->done);
    asked.erase(at);
    return done;
  }
};

// Acknowledges every lesson, but for what `refuse` says.
class FakeSink : public agent::GrantSink {
 public:
  struct Taught {
    std::uint64_t cgroup_id;
    Lesson lesson;
  };

  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime) override {
    const Reason reason = refuse ? refuse(cgroup_id, lesson) : NW_REASON_NONE;
    if (on_teach) on_teach();
    if (reason == NW_REASON_NONE) taught.push_back({cgroup_id, lesson});
    return reason;
  }
  void teach_all(std::span<LessonOrder> orders, BootTime now) override {
    batches.push_back(orders.size());
    for (LessonOrder& order : orders) order.reason = teach(order.cgroup_id, *order.lesson, now);
    if (on_acknowledged) on_acknowledged();
  }

  std::vector<Taught> taught;
  std::vector<std::size_t> batches;  // how many lessons each had
  std::function<void()> on_acknowledged;
  std::function<Reason(std::uint64_t cgroup_id, const Lesson&)> refuse;
  std::function<void()> on_teach;
};

class FakeClients : public agent::ProxyOutput {
 public:
  struct Reply {
    agent::ClientHandle client;
    Bytes message;

    std::uint16_t id() const { return static_cast<std::uint16_t>(message.at(0) << 8 | message.at(1)); }
    unsigned rcode() const { return message.at(3) & 15; }
    bool truncated() const { return (message.at(2) & 2) != 0; }
    unsigned answers() const { return static_cast<unsigned>(message.at(6) << 8 | message.at(7)); }
    // The code of its Extended DNS Error, 0 where it has none; its text.
    unsigned extended_error() const { return error_at() == 0 ? 0 : message.at(error_at() + 5); }
    std::string text() const {
      if (error_at() == 0) return "";
      return std::string(message.begin() + static_cast<std::ptrdiff_t>(error_at()) + 6, message.end());
    }

   private:
    // Of the option in a message that namewall wrote: it is the last there. Not in messages of resolvers.
    std::size_t error_at() const {
      if (message.size() < 12 || message[11] != 1 || message[7] != 0) return 0;
      std::size_t at = 12;
      while (message.at(at) != 0) at += message[at] + 1u;
      at += 5 + 11;
      return at + 6 <= message.size() && message[at + 1] == 15 ? at : 0;
    }
  };

  void reply(const agent::ClientHandle& client, std::span<const std::uint8_t> message) override {
    replies.push_back({client, Bytes(message.begin(), message.end())});
    if (on_reply) on_reply();
  }
  void report(const Event& event) override { events.push_back(event); }
  agent::Asker find_asker(std::uint64_t cgroup_id) override {
    const auto at = askers.find(cgroup_id);
    return at == askers.end() ? nullptr : at->second;
  }

  std::vector<Reply> replies;
  std::vector<Event> events;
  std::map<std::uint64_t, agent::Asker> askers;
  std::function<void()> on_reply;
};

// Of the levels below: any number that says whose image it is.
inline std::uint64_t image_hash_of(std::uint64_t cgroup_id) { return 1'000'000 + cgroup_id; }

inline agent::Asker asker_of(std::vector<std::pair<std::uint64_t, PolicyImage>> innermost_first) {
  auto levels = std::make_shared<std::vector<agent::AskerLevel>>();
  for (auto& [cgroup_id, image] : innermost_first) {
    levels->push_back({cgroup_id, "/w" + std::to_string(cgroup_id), std::make_shared<PolicyImage>(std::move(image)),
                       image_hash_of(cgroup_id)});
  }
  return levels;
}

// An OPT without options, to append to a question (whose count of additional records this sets).
inline Bytes with_opt(Bytes question, std::uint16_t size, bool wants_dnssec = false) {
  question.at(11) = 1;
  const Bytes opt = {0,
                     0,
                     41,
                     static_cast<std::uint8_t>(size >> 8),
                     static_cast<std::uint8_t>(size),
                     0,
                     0,
                     static_cast<std::uint8_t>(wants_dnssec ? 0x80 : 0),
                     0,
                     0,
                     0};
  question.insert(question.end(), opt.begin(), opt.end());
  return question;
}

}  // namespace namewall::testing
