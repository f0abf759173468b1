// A core between its doubles, and short ways to ask and to answer.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/proxy/proxy_core.h"
#include "tests/support/proxy_doubles.h"
#include "tests/unit/agent/policy_image_builder.h"

namespace namewall::agent {

using testing::AnswerBuilder;
using testing::Bytes;
using testing::FakeClients;

inline UpstreamTarget resolver(std::uint64_t netns_cookie = 0) {
  return {netns_cookie, {testing::address_of("192.0.2.53"), Port{53}}, {}};
}

inline PolicyImage image_where(const std::vector<std::string>& allow, const std::function<void(PolicyImage&)>& change) {
  PolicyImage image = image_of(allow);
  change(image);
  return image;
}

class ProxyCoreTest : public ::testing::Test {
 protected:
  explicit ProxyCoreTest(const ProxyLimits& limits = {}) : core(upstream, sink, clients, limits) {}

  struct Ask {
    std::uint16_t type = kTypeA;
    std::uint16_t id = 0x4711;
    bool over_tcp = false;
    std::optional<std::uint16_t> size = std::nullopt;  // of an OPT
    std::uint64_t place = 1;
    UpstreamTarget target = resolver();
  };
  void put(const Asker& asker, const Bytes& message, const Ask& ask) {
    core.on_question({{ask.place, ++last_token}, asker, ask.target, ask.over_tcp, 77, 1000, message}, now);
  }
  // Without its turn.
  void put(const Asker& asker, const std::string& name, const Ask& ask) {
    Bytes message = build_question({.id = ask.id, .name = testing::name_of(name), .type = ask.type});
    put(asker, ask.size ? testing::with_opt(message, *ask.size) : message, ask);
  }
  void put(const Asker& asker, const std::string& name) { put(asker, name, Ask{}); }
  void ask(const Asker& asker, const std::string& name, const Ask& how) {
    put(asker, name, how);
    core.run_turn(now);
  }
  void ask(const Asker& asker, const std::string& name) { ask(asker, name, Ask{}); }
  // With one A, of the first question for that name.
  bool answer(const std::string& name, const std::string& address = "192.0.2.1", std::uint32_t ttl = 60) {
    return answer(AnswerBuilder(name).a(name, ttl, address), name);
  }
  bool answer(const AnswerBuilder& message, const std::string& name, std::uint16_t type = 0) {
    core.set_time(now);
    return upstream.answer(name, message.build(), type);
  }
  void pass(Nanoseconds time) { now = now + time; }
  const FakeClients::Reply& last_reply() const { return clients.replies.back(); }
  const Event& last_event() const { return clients.events.back(); }

  BootTime now{std::chrono::seconds(1000)};
  std::uint64_t last_token = 0;
  testing::FakeUpstream upstream;
  testing::FakeSink sink;
  FakeClients clients;
  ProxyCore core;
};

inline DomainName question_of(const FakeClients::Reply& reply) { return parse_answer(reply.message)->question_name; }

}  // namespace namewall::agent
