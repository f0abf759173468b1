// The DNS proxy's core with wire messages from both sides, workloads, resolvers and a kernel that fail, in any order.
//
// Bytes are a list of actions, each a byte and what it takes (read below). Held to: replies go to clients that asked
// and are still there, once for each question; an answer with addresses leaves only after every level's kernel tables
// acknowledged every grant that the policy makes of it; nothing waits for ever.

#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <tuple>

#include "policy/dns_verdict.h"
#include "policy/policy_loader.h"
#include "tests/support/proxy_doubles.h"

namespace {

using namespace namewall;
using namewall::testing::Bytes;

void require(bool promise) {
  if (!promise) std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool empty() const { return at_ == size_; }
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : data_[at_++]; }
  Bytes bytes(std::size_t count) {
    count = std::min(count, size_ - at_);
    at_ += count;
    return Bytes(data_ + at_ - count, data_ + at_);
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

PolicyImage image_of(std::vector<std::string> allow, Mode mode, Retain retain, bool cache) {
  auto loaded = load_policy_arguments(allow, {});
  require(loaded.ok());
  loaded.value.mode = mode;
  loaded.value.dns.retain = retain;
  loaded.value.dns.resolvers_from_system = loaded.value.dns.search_from_system = false;
  auto image = compile_policy(loaded.value, HostPolicy{}, ResolvConf{});
  require(image.has_value());
  image->cache = cache;
  image->bounds = {.in_flight = 40, .per_second = 100, .fresh_per_second = 5};
  image->hints = cache ? Hints::kTeach : Hints::kStrip;
  image->ech = Ech::kStrip;
  return *std::move(image);
}

// Replaced or gone by an action; the kernel's tables, too, may refuse from one on.
struct World : agent::GrantSink, agent::ProxyOutput {
  using Taught = std::tuple<std::uint64_t, std::string, Address>;

  Reason teach(std::uint64_t cgroup_id, const Lesson& lesson, BootTime) override {
    if (failing) return NW_REASON_TEACHING_FAILED;
    for (const Grant& grant : lesson.grants) {
      require(grant.name == lesson.name);
      if (grant.note == NW_REASON_NONE) taught[{cgroup_id, grant.name.text(), grant.address}] = grant.deadline;
    }
    return NW_REASON_NONE;
  }
  void reply(const agent::ClientHandle& client, std::span<const std::uint8_t> message) override {
    const auto asked = waiting.find(client);
    require(asked != waiting.end());
    require(message.size() >= 12 && (message[2] & 0x80) != 0);
    const Bytes& question = asked->second.message;
    require(message[0] == question[0] && message[1] == question[1]);
    const auto now_asking = find_asker(asked->second.asker->front().cgroup_id);
    const agent::Asker& asker = now_asking != nullptr ? now_asking : asked->second.asker;
    for (const agent::AskerLevel& level : *asker) {
      if (level.image->mode == Mode::kAudit) continue;
      const Teaching teaching = judge_proxied_answer(*level.image, message, {}, now);
      for (const Grant& grant : teaching.grants) {
        if (grant.note != NW_REASON_NONE) continue;
        const auto known = taught.find({level.cgroup_id, grant.name.text(), grant.address});
        require(known != taught.end() && known->second >= grant.deadline);
      }
    }
    waiting.erase(asked);
  }
  void report(const Event& event) override { require(event.reason != NW_REASON_NONE); }
  agent::Asker find_asker(std::uint64_t cgroup_id) override { return askers[cgroup_id]; }

  struct Asked {
    agent::Asker asker;
    Bytes message;
  };
  std::map<agent::ClientHandle, Asked> waiting;
  std::map<Taught, BootTime> taught;
  std::map<std::uint64_t, agent::Asker> askers;
  bool failing = false;
  BootTime now{std::chrono::seconds(1000)};
};

const PolicyImage& plain() {
  static const PolicyImage image = image_of({"a.example", "*.w.example"}, Mode::kEnforce, Retain::kTtl, true);
  return image;
}
const PolicyImage& other() {
  static const PolicyImage image = image_of({"a.example:22"}, Mode::kEnforce, Retain::kUntilNextAnswer, false);
  return image;
}
const PolicyImage& audit() {
  static const PolicyImage image = image_of({"b.example"}, Mode::kAudit, Retain::kWorkload, true);
  return image;
}

constexpr std::uint16_t kTypes[] = {1, 28, 65, 16, 5, 255};
const char* const kNames[] = {"a.example", "b.example", "x.w.example", "y.w.example", "evil.test"};

Bytes read_question(Input& input) {
  const std::uint8_t shape = input.byte();
  if (shape >= 200) return input.bytes(shape - 180);
  const std::uint8_t type = input.byte(), flags = input.byte();
  Bytes message = build_question({.id = static_cast<std::uint16_t>(shape * 7),
                                  .name = DomainName::from_normal(kNames[shape % std::size(kNames)]),
                                  .type = kTypes[type % std::size(kTypes)]});
  if ((flags & 1) != 0) message[13] = static_cast<std::uint8_t>(message[13] & ~0x20);
  if ((flags & 2) != 0) message[3] = static_cast<std::uint8_t>(flags & 0x30);
  if ((flags & 4) != 0) {
    message = testing::with_opt(std::move(message), static_cast<std::uint16_t>(flags << 5), (flags & 8) != 0);
  }
  return message;
}

// To a question: records as they come, under the question's own header and name, or any bytes.
Bytes read_answer(Input& input, const Bytes& query) {
  const std::uint8_t shape = input.byte();
  if (shape >= 220) return input.bytes(shape);
  const DnsQuestion question = parse_question(query).value();
  testing::AnswerBuilder answer(question.name.text(), question.type,
                                static_cast<std::uint16_t>(query[0] << 8 | query[1]));
  for (unsigned i = 0; i < shape % 8u; ++i) {
    const std::uint8_t kind = input.byte(), ttl = input.byte(), number = input.byte();
    const std::string owner = (kind & 8) != 0 ? "alias.example" : question.name.text();
    const std::string address = (kind & 16) != 0 ? "10.0.0." : "192.0.2.";
    if (kind % 4 == 0) answer.cname(owner, ttl, "alias.example");
    if (kind % 4 == 1) answer.a(owner, ttl, address + std::to_string(number));
    if (kind % 4 == 2) answer.aaaa(owner, ttl, "2001:db8::" + std::to_string(number));
    if (kind % 4 == 3) answer.record({owner, kTypes[number % std::size(kTypes)], ttl, input.bytes(kind), ""});
  }
  if ((shape & 0x40) != 0) answer.rcode(input.byte() & 15);
  if ((shape & 0x80) != 0) answer.with_opt();
  Bytes message = answer.build();
  if ((shape & 0x20) == 0) return message;
  message[input.byte() % message.size()] ^= input.byte();
  return message;
}

void set_askers(World& world, std::uint8_t choice) {
  const PolicyImage& first = (choice & 1) != 0 ? other() : plain();
  world.askers[1] = (choice & 2) != 0 ? nullptr : testing::asker_of({{1, first}});
  world.askers[2] = testing::asker_of({{2, plain()}, {1, first}});
  world.askers[3] = (choice & 4) != 0 ? nullptr : testing::asker_of({{3, audit()}, {2, plain()}});
}

void forget_clients(World& world, const std::function<bool(const agent::ClientHandle&, const World::Asked&)>& is_gone) {
  std::erase_if(world.waiting, [&](const auto& one) { return is_gone(one.first, one.second); });
}

void run(Input& input) {
  World world;
  testing::FakeUpstream upstream;
  agent::ProxyCore core(upstream, world, world, {.cache_bytes = 64 << 10, .flights = 24, .workload_bytes = 8 << 10});
  std::uint64_t token = 0;
  set_askers(world, 0);
  const auto pending = [&](std::uint8_t which) -> testing::FakeUpstream::Done {
    core.set_time(world.now);
    return std::move(upstream.asked[which % upstream.asked.size()].done);
  };
  const auto forget_pending = [&](std::uint8_t which) {
    upstream.asked.erase(upstream.asked.begin() + which % static_cast<std::ptrdiff_t>(upstream.asked.size()));
  };
  while (!input.empty()) {
    const std::uint8_t action = input.byte();
    switch (action % 8) {
      default: {
        const agent::Asker asker = world.askers[1 + action / 8 % 3];
        const agent::ClientHandle client{action / 32u, ++token};
        const Bytes message = read_question(input);
        if (asker == nullptr) break;
        world.waiting[client] = {asker, message};
        agent::UpstreamTarget target{action / 64u, {Address::v4({192, 0, 2, 53}), Port{53}}, {}};
        core.on_question({client, asker, target, action >= 128, 0, 0, message}, world.now);
        // What is no question is answered at once or never.
        if (!parse_question(message)) world.waiting.erase(client);
        break;
      }
      case 3:
        if (action < 64) core.begin_batch();
        if (action >= 192) core.end_batch();
        core.run_turn(world.now);
        break;
      case 4:
        if (!upstream.asked.empty()) {
          const Bytes query = upstream.asked[action % upstream.asked.size()].query;
          const auto done = pending(action);
          forget_pending(action);
          const Bytes answer = read_answer(input, query);
          done(std::span<const std::uint8_t>(answer));
        }
        break;
      case 5:
        if (!upstream.asked.empty()) {
          const auto done = pending(action);
          forget_pending(action);
          done(fail(ErrorKind::kSystem, "none"));
        }
        break;
      case 6:
        if (action < 128) {
          const std::uint64_t place = input.byte() % 8;
          core.forget_place(place);
          forget_clients(world, [&](const auto& client, const auto&) { return client.place == place; });
        } else {
          core.end_batch();
          set_askers(world, input.byte());
          core.set_time(world.now);
          for (const std::uint64_t workload : {1, 2, 3}) core.forget_workload(workload);
        }
        break;
      case 7:
        core.end_batch();
        world.failing = (action & 8) != 0;
        world.now = world.now + std::chrono::milliseconds(input.byte() * 64);
        core.tick(world.now);
    }
  }
  core.end_batch();
  while (core.run_turn(world.now) || !upstream.asked.empty()) {
    if (upstream.asked.empty()) continue;
    const auto done = pending(0);
    forget_pending(0);
    done(fail(ErrorKind::kSystem, "none"));
  }
  require(world.waiting.empty());
  require(core.figures().waiting == 0 && core.figures().in_flight == 0);
  require(core.figures().cached_bytes <= 64 << 10);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  run(input);
  return 0;
}
