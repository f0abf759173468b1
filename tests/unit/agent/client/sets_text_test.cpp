#include "agent/client/sets_text.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace namewall::agent {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

const Screen kWide{200, false, false};

// One element of two names, one that the model does not know, one that is missing.
struct Scene {
  KernelSets kernel;
  ModelSets model;
  SetsFacts facts;

  Scene() {
    kernel.begun = kernel.ended = BootTime{seconds(100)};
    kernel.workloads = {{7, "/ci/job", "nft", false}};
    kernel.table = NftTable{"namewall", true, true, false, {{"enforced", 1}, {"learned4", 2}}, {}};
    for (const char* address : {"192.0.2.1", "192.0.2.9"}) {
      KernelElement held;
      held.cgroup_id = 7;
      held.set = "learned4";
      held.address = *parse_address(address);
      held.ports = {Protocol::kTcp, Port{443}, Port{443}};
      held.left = seconds(240);
      held.age = seconds(60);
      held.comment = "evil\x1b[31m\"name +1 by rule:443";
      kernel.elements.push_back(std::move(held));
    }
    model.workloads = {{"builder:job",
                        "/ci/job",
                        7,
                        "nft",
                        "enforce",
                        Nanoseconds(seconds(100)).count(),
                        {"*.example:443"},
                        {{"tcp/443"}},
                        false}};
    model.grants = {{0, {"a.example", *parse_address("192.0.2.1"), 0, 0, 240'000, 720'000, 60'000, -1}},
                    {0, {"b.example", *parse_address("192.0.2.1"), 0, 0, 240'000, 60'000, kUnknownTime, -1}},
                    {0, {"c.example", *parse_address("192.0.2.5"), 0, 0, 240'000, 720'000, 60'000, -1}}};
  }
  SetsView view() const { return join(kernel, &model); }
};

TEST(SetsText, ShowsNamesRuleTimesAndWhatDiffers) {
  const Scene scene;
  const std::string text = sets_text(scene.view(), scene.kernel, scene.facts, kWide);
  EXPECT_THAT(text, HasSubstr("builder:job  192.0.2.1  tcp/443  4 min  a.example, b.example"));
  EXPECT_THAT(text, HasSubstr("*.example:443   12 min     60 s"));
  EXPECT_THAT(text, HasSubstr("not in the model"));
  EXPECT_THAT(text, HasSubstr("not in the kernel"));
  EXPECT_THAT(text, HasSubstr("1 element that the model does not know, 1 element is missing"));
  EXPECT_THAT(text, HasSubstr("table inet namewall, owned and persistent; enforced 1, learned4 2"));
  EXPECT_TRUE(has_drift(scene.view(), scene.facts));
}

TEST(SetsText, EscapesWhatOthersWrote) {
  const Scene scene;
  const std::string text = sets_text(scene.view(), scene.kernel, scene.facts, kWide);
  EXPECT_THAT(text, HasSubstr("evil\\x1b[31m\"name +1"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(SetsText, SaysThatNothingIsComparedWithoutADaemon) {
  Scene scene;
  scene.facts.no_daemon = "nothing answers at /run/x";
  const std::string text = sets_text(join(scene.kernel, nullptr), scene.kernel, scene.facts, kWide);
  EXPECT_THAT(text, HasSubstr("nothing answers at /run/x; names are those of the kernel, and nothing is compared"));
  EXPECT_THAT(text, Not(HasSubstr("LEARNED")));
  EXPECT_FALSE(has_drift(join(scene.kernel, nullptr), scene.facts));
}

TEST(SetsText, FitsTheScreen) {
  const Scene scene;
  for (const std::size_t width : {40u, 60u, 80u, 120u}) {
    const std::string text = sets_text(scene.view(), scene.kernel, scene.facts, {width, false, false});
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find('\n', begin);
      std::size_t columns = 0;
      for (std::size_t i = begin; i < end; ++i) columns += (static_cast<unsigned char>(text[i]) & 0xc0u) != 0x80u;
      EXPECT_LE(columns, width) << text.substr(begin, end - begin);
      begin = end + 1;
    }
  }
}

TEST(SetsJson, IsOneDocumentWithEveryElement) {
  const Scene scene;
  const auto json = nlohmann::json::parse(sets_json(scene.view(), scene.kernel, scene.facts));
  EXPECT_EQ(json["model"], true);
  EXPECT_EQ(json["unknown"], 1);
  EXPECT_EQ(json["missing"], 1);
  EXPECT_EQ(json["table"]["owned"], true);
  EXPECT_EQ(json["table"]["elements"]["learned4"], 2);
  EXPECT_EQ(json["workloads"][0]["name"], "builder:job");
  ASSERT_EQ(json["elements"].size(), 3u);
  const auto& first = json["elements"][0];
  EXPECT_EQ(first["workload"], "builder:job");
  EXPECT_EQ(first["set"], "learned4");
  EXPECT_EQ(first["address"], "192.0.2.1");
  EXPECT_EQ(first["protocol"], "tcp");
  EXPECT_EQ(first["ports"], "443");
  EXPECT_EQ(first["seconds_left"], 240);
  EXPECT_EQ(first["names"][0]["name"], "a.example");
  EXPECT_EQ(first["names"][0]["learned_ago_s"], 720);
  EXPECT_EQ(first["names"][1]["renewed_ago_s"], -1);
  EXPECT_EQ(first["names"][0]["hits"], -1);
  EXPECT_EQ(json["elements"][1]["drift"], "missing");
  EXPECT_EQ(json["elements"][2]["drift"], "unknown");
  EXPECT_EQ(json["elements"][2]["names"][0]["name"], "evil\x1b[31m\"name");
}

TEST(RepairText, TellsWhatWasRebuilt) {
  EXPECT_THAT(repair_text({}, kWide), HasSubstr("Nothing differed"));
  const std::string text = repair_text({2, 1, {"the chain output had been changed"}, {"no room"}}, kWide);
  EXPECT_THAT(text, HasSubstr("removed 2 elements that the model does not know"));
  EXPECT_THAT(text, HasSubstr("put back 1 element\n"));
  EXPECT_THAT(text, HasSubstr("the chain output had been changed"));
  EXPECT_THAT(text, HasSubstr("no room"));
}

}  // namespace
}  // namespace namewall::agent
