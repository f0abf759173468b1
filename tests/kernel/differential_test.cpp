// The kernel equals the model: the same policies, questions, answers and connects, judged by policy/verdict.h, by the
// real BPF programs, and by the nft backend's table in a second cgroup, which is taught what the answers teach. A
// disagreement prints the seed and the case; NAMEWALL_DIFFERENTIAL_SEED=N runs that seed again.
//
// Where the kernel is stricter on purpose (a bound that it counts in slots, scratch space, a contended name) the reason
// is in kStricter: such a case is counted, and the model follows the kernel. What nft does otherwise (docs/backends.md)
// is left out by name in why_not_nft().
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>

#include "bpf/abi.h"
#include "policy/grant_table.h"
#include "policy/host_rules.h"
#include "policy/policy_loader.h"
#include "policy/verdict.h"
#include "tests/kernel/differential_cases.h"
#include "tests/kernel/support/nft_side.h"
#include "tests/kernel/support/remote_workload.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {
namespace {

const std::set<Reason> kStricter = {NW_REASON_GRANTS_FULL, NW_REASON_NAMES_FULL,     NW_REASON_QUESTION_BUSY,
                                    NW_REASON_ANSWER_BUSY, NW_REASON_NAME_CONTENDED, NW_REASON_NAME_COLLISION};

std::string hex(const Bytes& bytes) {
  std::string text;
  for (const auto byte : bytes) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", byte);
    text += two;
  }
  return text;
}

std::string to_text(Reason reason) { return std::string(code_of(reason)); }

class Differential : public WorkloadTest {
 protected:
  void SetUp() override {
    WorkloadTest::SetUp();
    dns_.reset();  // this test answers by itself, so that it knows when an answer has been delivered or not
    server_ = make_socket(AF_INET, SOCK_DGRAM);
    const auto at = resolver();
    ASSERT_EQ(bind(server_.get(), at.get(), at.length), 0);
    nft_ = std::make_unique<NftSide>();
    ASSERT_TRUE(nft_->is_open());
  }

  void run(std::uint64_t seed, std::uint32_t cases_wanted) {
    if (const char* replay = std::getenv("NAMEWALL_DIFFERENTIAL_SEED")) seed = std::strtoull(replay, nullptr, 0);
    SCOPED_TRACE("NAMEWALL_DIFFERENTIAL_SEED=" + std::to_string(seed));
    DifferentialCases cases(seed);
    for (case_ = 0; case_ < cases_wanted && !HasFailure(); ++case_) {
      if (case_ % 40 == 0) change_policy(cases);
      if (cases.one_in(150)) std::this_thread::sleep_for(milliseconds(350));  // over the shortest TTL
      if (cases.one_in(2)) {
        exchange(cases);
      } else {
        for (int i = 0; i < 3; ++i) connect_somewhere(cases.destination());
      }
    }
    RecordProperty("cases", static_cast<int>(case_));
    RecordProperty("taught", static_cast<int>(taught_));
    RecordProperty("passed_connects", static_cast<int>(passed_));
    RecordProperty("stricter", static_cast<int>(stricter_));
    RecordProperty("nft_compared", static_cast<int>(nft_compared_));
    RecordProperty("nft_passed", static_cast<int>(nft_passed_));
    RecordProperty("nft_policies_left_out", static_cast<int>(nft_left_out_));
    if (!HasFailure()) {
      EXPECT_GT(taught_, cases_wanted / 100) << "the cases teach too little to compare anything";
      EXPECT_GT(passed_, cases_wanted / 100);
      EXPECT_LT(stricter_, cases_wanted / 100);
      EXPECT_GT(nft_compared_, cases_wanted / 2);
      EXPECT_GT(nft_passed_, cases_wanted / 100);
      EXPECT_LT(nft_left_out_, cases_wanted / 40 / 5) << "nft's bounds leave too many policies out";
    }
  }

 private:
  void change_policy(DifferentialCases& cases) {
    policy_ = cases.policy();
    host_ = cases.host();
    auto image = compile_policy(policy_, host_, ResolvConf{});
    if (!image) return;  // a bound of the image: keep the old one
    image_ = compile(policy_, host_);
    if (case_ % 800 == 0) {
      workload_process_.reset();
      nft_process_.reset();
      nft_->let_go(nft_cgroup_);
      if (case_ != 0) {
        ASSERT_TRUE(enforcer_->disarm(cgroup_.fd(), workload_));
      }
      model_ = GrantTable(image_.max_addresses);
      arm_image();
      workload_process_ = std::make_unique<RemoteWorkload>(cgroup_);
      nft_process_ = std::make_unique<RemoteWorkload>(nft_cgroup_);
    } else {
      const auto replaced = enforcer_->replace(workload_, image_, false);
      ASSERT_TRUE(replaced) << replaced.error().message();
      model_.rejudge(image_);
    }
    reasons_ = read_reasons();
    hold_by_nft();
  }

  void arm_image() {
    bpf::ArmOptions options;
    options.trusted_netns = {*bpf::netns_cookie()};
    const auto armed = enforcer_->arm(cgroup_.fd(), image_, options);
    ASSERT_TRUE(armed) << armed.error().message();
    workload_ = *armed;
  }

  // The grants that the model has are taught anew where nft could not hold the policy before.
  void hold_by_nft() {
    const bool was_held = nft_holds_;
    nft_holds_ = nft_->hold(nft_cgroup_, image_).empty();
    if (!nft_holds_) {
      ++nft_left_out_;
      nft_->let_go(nft_cgroup_);
      return;
    }
    if (was_held) return;
    std::map<DomainName, std::vector<Grant>> by_name;
    for (const Grant& grant : model_.all()) by_name[grant.name].push_back(grant);
    for (const auto& [name, grants] : by_name) teach_nft(name, grants, 0);
  }

  void teach_nft(const DomainName& name, const std::vector<Grant>& grants, std::uint8_t replaces_family) {
    if (!nft_holds_ || grants.empty()) return;
    const Lesson lesson{name, decide_name(image_, name), 0, grants, replaces_family};
    const Reason reason = nft_->host().teach(nft_->id_of(nft_cgroup_), lesson, boot_now());
    EXPECT_EQ(reason, NW_REASON_NONE) << describe("nft is not taught " + name.text() + ": " + to_text(reason));
  }

  std::vector<std::uint64_t> read_reasons() const {
    const auto counters = enforcer_->read_counters(workload_);
    return counters ? counters->by_reason : std::vector<std::uint64_t>{};
  }
  // The one reason counted since the last call; NONE for none.
  Reason take_reason() {
    const auto now = read_reasons();
    Reason reason = NW_REASON_NONE;
    for (std::size_t i = 1; i < now.size(); ++i) {
      if (now[i] != reasons_[i]) reason = static_cast<Reason>(i);
    }
    reasons_ = now;
    return reason;
  }

  std::string describe(const std::string& what) const {
    return "case " + std::to_string(case_) + ": " + what + "\nunder\n" + to_canonical_toml(policy_) +
           blocks_text(host_) + (host_.deny.empty() ? "" : "host deny " + host_.deny.front().endpoint.text);
  }

  // A question, and where it leaves, its answer.
  void exchange(DifferentialCases& cases) {
    const Bytes question = cases.question();
    if (image_.learn == Learn::kProxy) return connect_somewhere({Protocol::kUdp, resolver().address(), Port{53}});
    auto expected = judge_question(image_, question);
    // Deny rules come before the resolver: one that covers it ends all questions.
    const auto rules = decide_address(image_, resolver().address());
    if (((rules.deny | rules.host_deny) & image_.mask_of(Protocol::kUdp, Port{53})) != 0) {
      expected.may_ask = false;
      expected.reason = NW_REASON_DENY_RULE;
    }
    const int error = workload_process_->send_question(resolver(), question);
    const Reason reason = take_reason();
    if (error != 0 && kStricter.count(reason) > 0) {
      ++stricter_;
      return;
    }
    ASSERT_EQ(error == 0, expected.may_ask)
        << describe("question " + hex(question) + " kernel: errno " + std::to_string(error) + " " + to_text(reason) +
                    ", model: " + to_text(expected.reason));
    EXPECT_EQ(reason, expected.may_ask ? NW_REASON_NONE : expected.reason) << describe(
        "question " + hex(question) + " kernel: " + to_text(reason) + ", model: " + to_text(expected.reason));
    if (error != 0) return;
    SocketAddress peer;
    peer.length = sizeof(peer.storage);
    Bytes arrived(65536);
    const ssize_t n = recvfrom(server_.get(), arrived.data(), arrived.size(), MSG_DONTWAIT, peer.get(), &peer.length);
    ASSERT_EQ(n, static_cast<ssize_t>(question.size())) << describe("the question did not arrive");
    const Bytes answer = cases.answer(question);
    const auto before = boot_now();
    const auto teaching = judge_answer(image_, answer, {ip("10.77.0.2"), ip("fd77::2")}, before);
    bool deliver = teaching.deliver;
    next_model_ = model_;
    if (deliver && !teaching.grants.empty()) {
      deliver = next_model_.learn(teaching.grants, before) != LearnOutcome::kGrantsFull;
    }
    sendto(server_.get(), answer.data(), answer.size(), 0, peer.get(), peer.length);
    const bool delivered = workload_process_->has_answer();
    const Reason answer_reason = take_reason();
    if (!delivered && deliver && kStricter.count(answer_reason) > 0) {
      ++stricter_;
    } else {
      ASSERT_EQ(delivered, deliver) << describe("question " + hex(question) + "\nanswer " + hex(answer) + "\nkernel: " +
                                                to_text(answer_reason) + ", model: " + to_text(teaching.reason));
      if (deliver) {
        model_ = next_model_;
        if (!teaching.grants.empty())
          teach_nft(teaching.grants.front().name, teaching.grants, teaching.replaces_family);
      }
    }
    taught_ += delivered && !teaching.grants.empty();
    compare_grants("question " + hex(question) + "\nanswer " + hex(answer));
  }

  using GrantKey = std::pair<std::string, std::string>;  // name, address
  struct GrantValue {
    PortMask ports;
    BootTime deadline;
  };
  static void add_live(std::map<GrantKey, GrantValue>& into, const Grant& grant, PortMask ports, BootTime now) {
    if (grant.note != NW_REASON_NONE || grant.deadline < now + kSlack) return;
    into[{grant.name.text(), grant.address.to_string()}] = {ports & kAllPorts, grant.deadline};
  }

  // Live grants are the same: names, addresses, ports, deadlines within what an exchange takes.
  void compare_grants(const std::string& what) {
    const auto now = boot_now();
    std::map<GrantKey, GrantValue> kernel, model;
    for (const auto& record : grants()) add_live(kernel, record.grant, record.current_ports, now);
    for (const auto& grant : model_.all()) add_live(model, grant, grant.ports, now);
    compare_with_model("the kernel", kernel, model, now, what);
    if (!nft_holds_ || HasFatalFailure()) return;
    const auto records = nft_->host().read_grants(nft_->id_of(nft_cgroup_));
    ASSERT_TRUE(records) << records.error().message();
    std::map<GrantKey, GrantValue> nft;
    for (const auto& record : *records) add_live(nft, record.grant, record.current_ports, now);
    compare_with_model("nft", nft, model, now, what);
  }

  void compare_with_model(const std::string& who, const std::map<GrantKey, GrantValue>& kernel,
                          const std::map<GrantKey, GrantValue>& model, BootTime now, const std::string& what) const {
    for (const auto& [key, value] : kernel) {
      const auto it = model.find(key);
      ASSERT_TRUE(it != model.end() || value.deadline < now + 2 * kSlack)
          << describe(what + "\nonly " + who + " has " + key.first + " " + key.second);
      if (it == model.end()) continue;
      ASSERT_EQ(value.ports, it->second.ports)
          << describe(what + "\n" + who + ": ports of " + key.first + " " + key.second);
      const auto apart = std::abs((value.deadline - it->second.deadline).count());
      ASSERT_LT(apart, std::chrono::nanoseconds(kSlack).count())
          << describe(what + "\n" + who + ": deadline of " + key.first + " " + key.second);
    }
    for (const auto& [key, value] : model) {
      ASSERT_TRUE(kernel.count(key) > 0 || value.deadline < now + 2 * kSlack)
          << describe(what + "\n" + who + " has not " + key.first + " " + key.second);
    }
  }

  void connect_somewhere(const Destination& destination) {
    const auto now = boot_now();
    for (const auto& grant : model_.find(destination.address, now)) {
      if (std::abs((grant.deadline - now).count()) < std::chrono::nanoseconds(kSlack).count())
        return;  // either is right
    }
    const auto expected = judge(image_, model_, destination, now, LoopbackListener::kNone, ResolverProxy::kAbsent);
    // What is sent is no question: exchange() is about those.
    if (expected.allowed && destination.protocol == Protocol::kUdp && expected.walk.back().stage == "resolver") return;
    // Nothing listens there: whether it may is decided by the refusals alone.
    if (expected.allowed && is_loopback_destination(destination.address)) return;
    const SocketAddress to(destination.address, destination.port.number);
    const int error =
        destination.protocol == Protocol::kTcp ? workload_process_->tcp_connect(to) : workload_process_->udp_send(to);
    const Reason reason = take_reason();
    const auto what = destination.to_string() + ": kernel errno " + std::to_string(error) + " " + to_text(reason) +
                      ", model " + (expected.allowed ? "allows" : to_text(expected.reason));
    ASSERT_EQ(error, expected.allowed ? 0 : ECONNREFUSED) << describe(what);
    if (!expected.allowed) {
      EXPECT_EQ(reason, expected.reason) << describe(what);
    }
    passed_ += error == 0;
    if (!HasFailure()) connect_by_nft(destination, expected);
  }

  // Why nft's verdict on this destination is no other's; nullptr: it has to be the model's.
  const char* why_not_nft(const Destination& destination) const {
    if (!nft_holds_) return "bounds of the table";
    for (const auto& resolver : image_.resolvers) {
      if (resolver.address == destination.address && resolver.port == destination.port)
        return "a resolver is the proxy's, and none serves here";
    }
    return nullptr;
  }

  void connect_by_nft(const Destination& destination, const Verdict& expected) {
    if (why_not_nft(destination) != nullptr) return;
    const SocketAddress to(destination.address, destination.port.number);
    const auto before = nft_->refused(nft_cgroup_);
    const bool is_tcp = destination.protocol == Protocol::kTcp;
    const int error = is_tcp ? nft_process_->tcp_connect(to) : nft_process_->udp_send(to);
    const bool is_refused = nft_->refused(nft_cgroup_) != before;
    const auto what = destination.to_string() + ": nft " + (is_refused ? "refuses" : "allows") + ", errno " +
                      std::to_string(error) + ", the model " +
                      (expected.allowed ? "allows" : "refuses: " + to_text(expected.reason));
    ASSERT_EQ(!is_refused, expected.allowed) << describe(what);
    // A SYN is answered by a reset, which a connect that does not wait may see or not; a datagram is dropped.
    if (!is_tcp) {
      EXPECT_EQ(error, expected.allowed ? 0 : EPERM) << describe(what);
    }
    ++nft_compared_;
    nft_passed_ += expected.allowed;
  }

  static constexpr milliseconds kSlack{120};

  OwnedFd server_;
  std::unique_ptr<NftSide> nft_;
  ThrowawayCgroup nft_cgroup_;
  std::unique_ptr<RemoteWorkload> workload_process_, nft_process_;
  bool nft_holds_ = false;
  std::uint32_t nft_compared_ = 0, nft_passed_ = 0, nft_left_out_ = 0;
  Policy policy_;
  HostPolicy host_;
  PolicyImage image_;
  GrantTable model_{0}, next_model_{0};
  std::vector<std::uint64_t> reasons_;
  std::uint32_t case_ = 0, taught_ = 0, passed_ = 0, stricter_ = 0;
};

TEST_F(Differential, KernelEqualsModelOnFixedSeeds) { run(20260101, 4'000); }

TEST_F(Differential, KernelEqualsModelOnASeedOfTheDay) {
  run(static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()), 3'000);
}

TEST_F(Differential, SoakKernelEqualsModelForLong) {
  run(static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()), 500'000);
}

}  // namespace
}  // namespace namewall::kernel_tests
