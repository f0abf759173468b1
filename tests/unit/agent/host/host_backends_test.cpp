#include "agent/host/host_backends.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::shared_ptr<const PolicyImage> image_for(Backend backend) {
  PolicyImage image;
  image.name = "builder";
  image.backend = backend;
  return std::make_shared<const PolicyImage>(std::move(image));
}

// Notes what is asked of it in a diary that both fakes share, so that the order shows.
class FakeBackend final : public HostBackend {
 public:
  FakeBackend(std::string name, std::vector<std::string>& diary) : name_(std::move(name)), diary_(diary) {}

  std::map<std::uint64_t, ArmedCgroup> held;
  std::map<std::uint64_t, std::string> guards;
  std::vector<ProxyPlace> places;
  std::vector<Address> own_addresses;
  std::vector<GrantRecord> grants;
  std::map<AskerToken, std::uint64_t> tokens;
  std::vector<std::uint64_t> taught;
  bool refuses_to_arm = false;

  const AdoptionReport& adoption() const override { return adoption_; }
  std::vector<Result<ArmedCgroup>> arm(const std::vector<ArmRequest>& requests) override {
    std::vector<Result<ArmedCgroup>> out;
    for (const ArmRequest& request : requests) {
      if (refuses_to_arm) {
        out.push_back(fail(ErrorKind::kLimit, "no room"));
        continue;
      }
      ArmedCgroup armed;
      armed.cgroup_id = static_cast<std::uint64_t>(std::stoi(request.cgroup.substr(1)));
      armed.cgroup = request.cgroup;
      held[armed.cgroup_id] = armed;
      (void)note("arm " + request.cgroup);
      out.push_back(armed);
    }
    return out;
  }
  Result<ArmedCgroup> replace(std::uint64_t id, std::shared_ptr<const PolicyImage>, bool) override {
    (void)note("replace " + std::to_string(id));
    return held.at(id);
  }
  Result<void> set_strict(std::uint64_t id, bool) override { return note("strict " + std::to_string(id)); }
  Result<void> deny_all(std::uint64_t id) override { return note("deny " + std::to_string(id)); }
  Result<void> recognise(std::uint64_t id, const std::string&, std::shared_ptr<const PolicyImage>) override {
    return note("recognise " + std::to_string(id));
  }
  Result<void> disarm(int, std::uint64_t id) override {
    held.erase(id);
    return note("disarm " + std::to_string(id));
  }
  void forget(std::uint64_t id) override { held.erase(id); }
  Result<void> guard(int, std::uint64_t id) override {
    guards[id] = "/guarded";
    return note("guard " + std::to_string(id));
  }
  Result<void> unguard(int, std::uint64_t id) override {
    guards.erase(id);
    return note("unguard " + std::to_string(id));
  }
  std::map<std::uint64_t, std::string> guarded() const override { return guards; }
  Result<std::vector<ArmedCgroup>> armed() const override {
    std::vector<ArmedCgroup> out;
    for (const auto& [id, armed] : held) out.push_back(armed);
    return out;
  }
  std::optional<ArmedCgroup> find(std::uint64_t id) const override {
    const auto found = held.find(id);
    return found == held.end() ? std::nullopt : std::optional(found->second);
  }
  Result<void> set_own_addresses(const std::vector<Address>& addresses) override {
    own_addresses = addresses;
    return {};
  }
  Result<std::vector<GrantRecord>> read_grants(std::uint64_t) const override { return grants; }
  Result<Counters> read_counters(std::uint64_t) const override { return Counters{}; }
  Result<std::uint32_t> reap(std::uint64_t, std::chrono::seconds) override { return 0u; }
  Reason teach(std::uint64_t id, const Lesson&, BootTime) override {
    taught.push_back(id);
    return NW_REASON_NONE;
  }
  void teach_all(std::span<LessonOrder> orders, BootTime now) override {
    for (LessonOrder& order : orders) order.reason = teach(order.cgroup_id, *order.lesson, now);
  }
  Result<void> add_proxy_place(const ProxyPlace& place) override {
    places.push_back(place);
    return {};
  }
  Result<void> remove_proxy_place(const ProxyPlace& place) override {
    std::erase(places, place);
    return {};
  }
  std::vector<ProxyPlace> proxy_places() const override { return places; }
  std::optional<std::uint64_t> cgroup_of_token(AskerToken token) const override {
    const auto found = tokens.find(token);
    return found == tokens.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<std::uint64_t> take_asker(const AskerKey&) override { return std::nullopt; }
  std::vector<std::uint64_t> levels_of(std::uint64_t id) const override { return {id}; }
  std::vector<int> event_fds() const override { return {}; }
  Result<std::size_t> consume_events(std::size_t, const std::function<void(const Event&)>&) override { return 0u; }
  std::vector<Damage> verify(std::size_t) override { return {{name_ + " was damaged", true}}; }
  std::vector<Damage> verify_policies(std::size_t) override { return {}; }
  std::optional<bool> seems_detached() override { return false; }
  std::size_t begin_turn() override { return 1; }
  Result<void> keep_house() override { return {}; }

 private:
  Result<void> note(const std::string& act) {
    diary_.push_back(name_ + ": " + act);
    return {};
  }
  std::string name_;
  std::vector<std::string>& diary_;
  AdoptionReport adoption_;
};

class HostBackendsTest : public testing::Test {
 protected:
  HostBackendsTest()
      : backends_({[this] { return open(bpf_, "bpf"); }, [this] { return open(nft_, "nft"); },
                   [](std::uint64_t, const std::string&) -> Result<FileDescriptor> {
                     return FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
                   }}) {}

  Result<std::unique_ptr<HostBackend>> open(FakeBackend*& place, const char* name) {
    if (!cannot_open_.empty() && cannot_open_ == name) return fail(ErrorKind::kPermission, "no right");
    auto made = std::make_unique<FakeBackend>(name, diary_);
    place = made.get();
    return made;
  }
  Result<ArmedCgroup> arm(std::uint64_t id, Backend backend) {
    ArmRequest request;
    request.cgroup = "/" + std::to_string(id);
    request.image = image_for(backend);
    return backends_.arm({request}).front();
  }

  std::vector<std::string> diary_;
  FakeBackend* bpf_ = nullptr;
  FakeBackend* nft_ = nullptr;
  std::string cannot_open_;
  HostBackends backends_;
};

TEST_F(HostBackendsTest, OpensABackendWithTheFirstPolicyForIt) {
  EXPECT_TRUE(backends_.armed()->empty());
  EXPECT_EQ(bpf_, nullptr);
  ASSERT_TRUE(arm(7, Backend::kNft));
  EXPECT_NE(nft_, nullptr);
  EXPECT_EQ(bpf_, nullptr);
  EXPECT_EQ(backends_.find(7)->backend, Backend::kNft);
}

TEST_F(HostBackendsTest, TellsALateBackendWhatTheOthersWereTold) {
  ASSERT_TRUE(backends_.set_own_addresses({*parse_address("10.0.0.5")}));
  ProxyPlace place;
  place.netns_cookie = 1;
  place.port = Port{4711};
  ASSERT_TRUE(backends_.add_proxy_place(place));
  ASSERT_TRUE(arm(7, Backend::kNft));
  EXPECT_THAT(nft_->own_addresses, ElementsAre(*parse_address("10.0.0.5")));
  EXPECT_THAT(nft_->places, ElementsAre(place));
  ASSERT_TRUE(backends_.remove_proxy_place(place));
  ASSERT_TRUE(arm(8, Backend::kBpf));
  EXPECT_THAT(bpf_->places, IsEmpty());
}

TEST_F(HostBackendsTest, GivesEachRequestToItsPolicysBackendAndKeepsTheirOrder) {
  std::vector<ArmRequest> requests(3);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].cgroup = "/" + std::to_string(i + 1);
    requests[i].image = image_for(i == 1 ? Backend::kBpf : Backend::kNft);
  }
  const auto armed = backends_.arm(requests);
  ASSERT_EQ(armed.size(), 3u);
  for (std::size_t i = 0; i < armed.size(); ++i) EXPECT_EQ(armed[i]->cgroup_id, i + 1);
  EXPECT_THAT(diary_, ElementsAre("bpf: arm /2", "nft: arm /1", "nft: arm /3"));
  ASSERT_TRUE(backends_.deny_all(2));
  ASSERT_TRUE(backends_.deny_all(3));
  EXPECT_EQ(diary_.at(3), "bpf: deny 2");
  EXPECT_EQ(diary_.at(4), "nft: deny 3");
  EXPECT_EQ(backends_.armed()->size(), 3u);
}

TEST_F(HostBackendsTest, SaysWhyABackendDoesNotOpenForThoseThatNeedIt) {
  cannot_open_ = "bpf";
  std::vector<ArmRequest> requests(2);
  requests[0].cgroup = "/1", requests[0].image = image_for(Backend::kBpf);
  requests[1].cgroup = "/2", requests[1].image = image_for(Backend::kNft);
  const auto armed = backends_.arm(requests);
  ASSERT_FALSE(armed[0]);
  EXPECT_EQ(armed[0].error().what, "no right");
  EXPECT_TRUE(armed[1]);
}

TEST_F(HostBackendsTest, ArmsTheNewOneBeforeItLetsTheOldOneGo) {
  ASSERT_TRUE(arm(7, Backend::kBpf));
  diary_.clear();
  const auto moved = backends_.replace(7, image_for(Backend::kNft), false);
  ASSERT_TRUE(moved) << moved.error().message();
  EXPECT_EQ(moved->backend, Backend::kNft);
  EXPECT_THAT(diary_, ElementsAre("nft: arm /7", "bpf: disarm 7"));
  EXPECT_EQ(backends_.armed()->size(), 1u);
}

TEST_F(HostBackendsTest, KeepsTheOldOneWhereTheNewOneRefuses) {
  ASSERT_TRUE(arm(7, Backend::kBpf));
  ASSERT_TRUE(backends_.open(Backend::kNft));
  nft_->refuses_to_arm = true;
  EXPECT_FALSE(backends_.replace(7, image_for(Backend::kNft), false));
  EXPECT_EQ(backends_.find(7)->backend, Backend::kBpf);
}

TEST_F(HostBackendsTest, TakesAlongWhatWasLearnedAndIsStillAllowed) {
  const auto policy = load_policy("name = \"a\"\nbackend = \"nft\"\nallow = [ \"a.example\" ]\n", Format::kToml, "p");
  const auto image = compile_policy(policy.value, {}, {});
  ASSERT_TRUE(image) << image.error().message();
  ASSERT_TRUE(arm(7, Backend::kBpf));
  for (const char* name : {"a.example", "gone.example"}) {
    GrantRecord record{
        .grant = {.name = *DomainName::parse(name), .address = *parse_address("192.0.2.1"), .deadline = BootTime{}}};
    bpf_->grants.push_back(record);
  }
  ASSERT_TRUE(backends_.replace(7, std::make_shared<const PolicyImage>(*image), false));
  EXPECT_THAT(nft_->taught, ElementsAre(7u));  // one lesson: the other name is not in the policy
}

TEST_F(HostBackendsTest, ReplacesInPlaceWithinOneBackend) {
  ASSERT_TRUE(arm(7, Backend::kNft));
  ASSERT_TRUE(backends_.replace(7, image_for(Backend::kNft), false));
  EXPECT_THAT(diary_, ElementsAre("nft: arm /7", "nft: replace 7"));
}

TEST_F(HostBackendsTest, LiftsWhatAMoveLeftBehind) {
  ASSERT_TRUE(arm(7, Backend::kNft));
  ASSERT_TRUE(arm(8, Backend::kBpf));
  bpf_->held[7] = ArmedCgroup{.cgroup_id = 7, .cgroup = "/7"};
  EXPECT_EQ(backends_.armed()->size(), 2u);
  ASSERT_TRUE(backends_.replace(7, image_for(Backend::kNft), false));
  EXPECT_EQ(diary_.back(), "bpf: disarm 7");
}

TEST_F(HostBackendsTest, AsksForTokensWhereTheyAreGiven) {
  ASSERT_TRUE(backends_.open(Backend::kBpf));
  ASSERT_TRUE(backends_.open(Backend::kNft));
  bpf_->tokens = {{5, 50}, {kFirstNftToken, 51}};
  nft_->tokens = {{5, 60}, {kFirstNftToken, 61}};
  EXPECT_EQ(backends_.cgroup_of_token(5), 50u);
  EXPECT_EQ(backends_.cgroup_of_token(kFirstNftToken), 61u);
}

TEST_F(HostBackendsTest, TeachesEachLessonWhereItsWorkloadIs) {
  ASSERT_TRUE(arm(1, Backend::kBpf));
  ASSERT_TRUE(arm(2, Backend::kNft));
  const Lesson lesson{*DomainName::parse("a.example"), {}, 0, {}, 0};
  std::vector<LessonOrder> orders = {{2, &lesson}, {1, &lesson}, {3, &lesson}};
  backends_.teach_all(orders, BootTime{});
  EXPECT_THAT(bpf_->taught, ElementsAre(1u));
  EXPECT_THAT(nft_->taught, ElementsAre(2u));
  EXPECT_EQ(orders[0].reason, NW_REASON_NONE);
  EXPECT_EQ(orders[2].reason, NW_REASON_TEACHING_FAILED);
}

TEST_F(HostBackendsTest, MovesAGuardWithItsPolicy) {
  ASSERT_TRUE(backends_.guard_by(Backend::kBpf, -1, 9));
  ASSERT_TRUE(backends_.guard_by(Backend::kNft, -1, 9));
  EXPECT_THAT(diary_, ElementsAre("bpf: guard 9", "nft: guard 9", "bpf: unguard 9"));
  EXPECT_EQ(backends_.guarded().size(), 1u);
}

TEST_F(HostBackendsTest, LooksForDamageInBoth) {
  ASSERT_TRUE(backends_.open(Backend::kBpf));
  ASSERT_TRUE(backends_.open(Backend::kNft));
  EXPECT_EQ(backends_.verify(1).size(), 2u);
}

}  // namespace
}  // namespace namewall::agent
