// Workloads in workloads, whose questions go to the DNS proxy: each level trusts the resolver, the innermost is named.
#include <bpf/bpf.h>

#include <filesystem>

#include "tests/kernel/support/host_test.h"
#include "tests/kernel/support/lesson_builder.h"
#include "tests/kernel/support/test_proxy.h"

namespace namewall::kernel_tests {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ProxyNesting : public HostTest {
 protected:
  void SetUp() override {
    HostTest::SetUp();
    zone_.add("example.com", ip("192.0.2.1"));
    proxy_ = std::make_unique<TestProxy>(resolver(), zone_.answerer());
    open();
    ASSERT_TRUE(host_->add_proxy_place(proxy_->place(Protocol::kUdp)));
  }
  ArmedCgroup arm_in(const ThrowawayCgroup& cgroup, Learn learn, bool is_template = false,
                     std::vector<ResolverAddress> resolvers = {}) {
    auto wanted = request(cgroup, {"example.com"});
    auto policy = make_policy({"example.com"});
    policy.dns.learn = learn;
    if (!resolvers.empty()) policy.dns.resolvers = resolvers;
    wanted.image = std::make_shared<const PolicyImage>(compile(policy));
    if (is_template) wanted.options.children = Children::kApart;
    const auto armed = host_->arm({wanted}).front();
    EXPECT_TRUE(armed) << armed.error().message();
    return armed ? *armed : ArmedCgroup{};
  }
  std::optional<std::uint64_t> asker_of(const ProxiedQuestion& question) {
    if (question.token() != 0) return host_->cgroup_of_token(question.token());
    return host_->take_asker({.netns_cookie = bpf::netns_cookie().value_or(0),
                              .address = question.peer.address(),
                              .port = Port{question.peer.port()},
                              .message = question.bytes});
  }
  std::optional<std::uint64_t> ask_in(const ThrowawayCgroup& cgroup) {
    const auto before = proxy_->questions().size();
    EXPECT_TRUE(look_up_in(cgroup, "example.com").delivered());
    const auto questions = proxy_->await(before + 1);
    if (questions.size() != before + 1) return std::nullopt;
    return asker_of(questions.back());
  }

  ThrowawayCgroup outer_, inner_{outer_}, beside_{outer_};
  std::unique_ptr<TestProxy> proxy_;
};

TEST_F(ProxyNesting, TheInnermostWorkloadIsNamed) {
  for (const auto& [above, below] :
       {std::pair(Learn::kProxy, Learn::kProxy), {Learn::kProxy, Learn::kKernel}, {Learn::kKernel, Learn::kProxy}}) {
    arm_in(outer_, above);
    arm_in(inner_, below);
    EXPECT_EQ(ask_in(inner_), id_of(inner_));
    if (above == Learn::kProxy) {
      EXPECT_EQ(ask_in(beside_), id_of(outer_));
    }
    EXPECT_THAT(host_->levels_of(id_of(inner_)), ElementsAre(id_of(inner_), id_of(outer_)));
    EXPECT_THAT(host_->levels_of(id_of(outer_)), ElementsAre(id_of(outer_)));
    ASSERT_TRUE(host_->disarm(inner_.fd(), id_of(inner_)));
    if (above == Learn::kProxy) {
      EXPECT_EQ(ask_in(inner_), id_of(outer_)) << "nobody below any more";
    }
    ASSERT_TRUE(host_->disarm(outer_.fd(), id_of(outer_)));
  }
}

TEST_F(ProxyNesting, TheOrderOfArmingDoesNotMatter) {
  arm_in(inner_, Learn::kProxy);
  arm_in(outer_, Learn::kProxy);
  EXPECT_EQ(ask_in(inner_), id_of(inner_));
  EXPECT_EQ(ask_in(beside_), id_of(outer_));
}

void ask_marked(std::uint32_t mark) {
  const auto client = make_socket(AF_INET, SOCK_DGRAM);
  setsockopt(client.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
  const auto question = make_question(1, "example.com", 1);
  const auto to = resolver();
  sendto(client.get(), question.data(), question.size(), 0, to.get(), to.length);
}

TEST_F(ProxyNesting, AMarkOfAWorkloadBelowIsNotBelievedFromTheSide) {
  arm_in(outer_, Learn::kProxy);
  arm_in(inner_, Learn::kProxy);
  ask_in(inner_);
  const std::uint32_t mark = proxy_->questions().back().mark;
  ASSERT_NE(mark, 0u);
  in_cgroup(beside_, [&] { ask_marked(mark); });
  EXPECT_EQ(asker_of(proxy_->await(2).back()), id_of(outer_));
}

TEST_F(ProxyNesting, AMarkIsNotBelievedWhereTheProgramThatWouldSetItIsGone) {
  arm_in(outer_, Learn::kProxy);
  arm_in(beside_, Learn::kProxy);
  arm_in(inner_, Learn::kProxy);
  ASSERT_EQ(ask_in(beside_), id_of(beside_));
  const std::uint32_t mark = proxy_->questions().back().mark;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/v1/layer1")) {
    if (!entry.path().filename().string().starts_with("programs-")) continue;
    const OwnedFd egress(bpf_obj_get((entry.path() / "namewall_egress").c_str()));
    ASSERT_EQ(bpf_prog_detach2(egress.get(), inner_.fd(), BPF_CGROUP_INET_EGRESS), 0);
  }
  in_cgroup(inner_, [&] { ask_marked(mark); });
  EXPECT_EQ(asker_of(proxy_->await(2).back()), id_of(outer_));
}

TEST_F(ProxyNesting, AParentThatDoesNotTrustTheResolverRefuses) {
  arm_in(outer_, Learn::kKernel, false, {{far_resolver().address(), Port{53}}});
  arm_in(inner_, Learn::kProxy);
  EXPECT_EQ(look_up_in(inner_, "example.com").send_error, ECONNREFUSED);
  EXPECT_THAT(proxy_->questions(), IsEmpty());
  std::vector<std::string> reasons;
  ASSERT_TRUE(host_->consume_events(16, [&](const Event& event) { reasons.emplace_back(code_of(event.reason)); }));
  EXPECT_THAT(reasons, ElementsAre("untrusted_resolver"));
}

TEST_F(ProxyNesting, ChildrenOfATemplateBelowAreNamedWithOrWithoutATokenOfTheirOwn) {
  const ThrowawayCgroup child(inner_);
  arm_in(outer_, Learn::kProxy);
  arm_in(inner_, Learn::kProxy, true);
  EXPECT_EQ(ask_in(child), id_of(child));
  EXPECT_THAT(host_->levels_of(id_of(child)), ElementsAre(id_of(child), id_of(outer_)));
  EXPECT_EQ(ask_in(inner_), id_of(outer_)) << "the template's own processes are not its workloads";
  std::vector<std::unique_ptr<ThrowawayCgroup>> many;  // more than there are tables
  for (int i = 0; i < 6; ++i) {
    many.push_back(std::make_unique<ThrowawayCgroup>(inner_));
    EXPECT_EQ(ask_in(*many.back()), id_of(*many.back())) << i;
  }
  EXPECT_EQ(proxy_->questions().back().token(), 0);
}

TEST_F(ProxyNesting, OutlivesTheProcessAndReachesLayersThatComeLater) {
  arm_in(outer_, Learn::kProxy);
  open();  // as the next process
  EXPECT_EQ(host_->proxy_places(), std::vector{proxy_->place(Protocol::kUdp)});
  EXPECT_EQ(ask_in(outer_), id_of(outer_));
  arm_in(inner_, Learn::kProxy);  // a new layer
  EXPECT_EQ(ask_in(inner_), id_of(inner_));
  open();
  EXPECT_EQ(ask_in(inner_), id_of(inner_));
  EXPECT_EQ(ask_in(beside_), id_of(outer_));
  EXPECT_THAT(damage(), IsEmpty());
  ASSERT_TRUE(host_->remove_proxy_place(proxy_->place(Protocol::kUdp)));
  EXPECT_EQ(look_up_in(inner_, "example.com").send_error, ECONNREFUSED);
}

TEST_F(ProxyNesting, LessonsReachEachLevel) {
  arm_in(outer_, Learn::kProxy);
  arm_in(inner_, Learn::kProxy);
  EXPECT_EQ(tcp_in(inner_, "192.0.2.1"), ECONNREFUSED);
  for (const auto level : host_->levels_of(id_of(inner_))) {
    EXPECT_EQ(host_->teach(level,
                           make_lesson(compile(make_policy({"example.com"})), "example.com", {"192.0.2.1"},
                                       boot_now() + std::chrono::seconds(60)),
                           boot_now()),
              NW_REASON_NONE);
  }
  EXPECT_EQ(tcp_in(inner_, "192.0.2.1"), 0);
}

}  // namespace
}  // namespace namewall::kernel_tests
