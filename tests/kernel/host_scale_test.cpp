// Many workloads: how long it takes, what it leaves.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/kernel/support/host_test.h"

namespace namewall::kernel_tests {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double cpu_milliseconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values.at(static_cast<std::size_t>(share * static_cast<double>(values.size() - 1)));
}

std::size_t count_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

std::size_t resident_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::strtoul(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

class HostScale : public HostTest {
 protected:
  void open_large(std::uint32_t workloads, std::uint32_t spares) {
    auto large = options();
    large.max_workloads = workloads;
    large.max_names = 1u << 20;
    large.spare_tables = spares;
    auto opened = bpf::HostEnforcer::open(large);
    ASSERT_TRUE(opened) << opened.error().message();
    host_.emplace(std::move(*opened));
  }
  // `count` policies of 50 rules, no two alike.
  static std::vector<std::shared_ptr<const PolicyImage>> policies(std::size_t count) {
    std::vector<std::shared_ptr<const PolicyImage>> images;
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<std::string> allow;
      for (int rule = 0; rule < 50; ++rule) {
        allow.push_back("host" + std::to_string(rule) + ".w" + std::to_string(i) + ".test");
      }
      images.push_back(std::make_shared<const PolicyImage>(compile(make_policy(allow))));
    }
    return images;
  }
  void replace_often(int replacements);
  void keep_house() {
    const auto done = host_->keep_house();
    EXPECT_TRUE(done) << done.error().message();
  }
};

TEST_F(HostScale, AThousandWorkloadsWithFiftyRulesEachAreArmedInTwoSeconds) {
  constexpr std::size_t kWorkloads = 1000;
  open_large(2048, 64);
  std::vector<std::unique_ptr<ThrowawayCgroup>> cgroups;
  const auto images = policies(kWorkloads);
  std::vector<ArmRequest> requests;
  for (std::size_t i = 0; i < kWorkloads; ++i) {
    cgroups.push_back(std::make_unique<ThrowawayCgroup>());
    requests.push_back(request(*cgroups.back(), {}));
    requests.back().image = images[i];
  }
  auto start = Clock::now();
  double cpu = cpu_milliseconds();
  const auto armed = host_->arm(requests);
  const double arming = milliseconds_since(start), arming_cpu = cpu_milliseconds() - cpu;
  for (const auto& one : armed) ASSERT_TRUE(one) << one.error().message();

  cpu = cpu_milliseconds();
  const auto damage = host_->verify(kWorkloads);
  const double verifying = cpu_milliseconds() - cpu;
  EXPECT_TRUE(damage.empty()) << damage.front().what;

  close();
  start = Clock::now();
  open_large(2048, 64);
  const double adopting = milliseconds_since(start);
  EXPECT_EQ(host_->adoption().workloads, kWorkloads);
  std::printf(
      "%zu workloads: armed in %.0f ms (%.0f ms of CPU), verified in %.1f ms of CPU (%.1f us each), adopted in %.0f "
      "ms, RSS %zu KiB\n",
      kWorkloads, arming, arming_cpu, verifying, verifying * 1000 / kWorkloads, adopting, resident_kilobytes());
  EXPECT_LT(arming, 2000);

  // Everything goes.
  for (const auto& one : armed) host_->forget(one->cgroup_id);
  cgroups.clear();
  const std::size_t pins = count_pins();
  for (int i = 0; i < 20 && count_pins() > pins - 2 * (kWorkloads - 200); ++i) {
    std::this_thread::sleep_for(milliseconds(100));
    keep_house();
  }
  EXPECT_LT(count_pins(), 2u * 200) << "slots of cgroups that are gone are free again";
}

TEST_F(HostScale, ArmingAndReplacingOneDoesNotWait) {
  constexpr int kRounds = 100;
  open_large(256, 32);
  const auto images = policies(8);
  ThrowawayCgroup first;
  auto sized = request(first, {});
  sized.image = images[0];
  ASSERT_TRUE(host_->arm({sized}).front());
  keep_house();
  std::vector<double> arming, replacing;
  for (int i = 0; i < kRounds; ++i) {
    ThrowawayCgroup cgroup;
    auto one = request(cgroup, {});
    one.image = images[static_cast<std::size_t>(i) % images.size()];
    auto start = Clock::now();
    const auto armed = host_->arm({one}).front();
    arming.push_back(milliseconds_since(start));
    ASSERT_TRUE(armed) << armed.error().message();
    start = Clock::now();
    const auto replaced =
        host_->replace(armed->cgroup_id, images[static_cast<std::size_t>(i + 1) % images.size()], false);
    replacing.push_back(milliseconds_since(start));
    ASSERT_TRUE(replaced) << replaced.error().message();
    host_->forget(armed->cgroup_id);
    if (i % 16 == 15) keep_house();
  }
  std::printf("arm: median %.2f ms, p99 %.2f ms; replace: median %.2f ms, p99 %.2f ms\n", quantile(arming, 0.5),
              quantile(arming, 0.99), quantile(replacing, 0.5), quantile(replacing, 0.99));
  EXPECT_LT(quantile(arming, 0.5), 3) << "one that waits for RCU takes longer";
  EXPECT_LT(quantile(replacing, 0.5), 3);
}

class SoakHostScale : public HostScale {};

void HostScale::replace_often(int replacements) {
  zone_.add("host1.w0.test", ip("192.0.2.1"), 600);
  serve_zone();
  open_large(16, 2);
  const auto images = policies(2);
  const ThrowawayCgroup cgroup;
  auto one = request(cgroup, {});
  one.image = images[0];
  const auto armed = host_->arm({one}).front();
  ASSERT_TRUE(armed) << armed.error().message();
  ASSERT_TRUE(look_up_in(cgroup, "host1.w0.test").delivered());
  keep_house();
  const std::size_t pins = count_pins(), descriptors = count_descriptors(), memory = resident_kilobytes();
  const auto start = Clock::now();
  for (int i = 1; i <= replacements; ++i) {
    const auto replaced = host_->replace(armed->cgroup_id, images[static_cast<std::size_t>(i) % 2], false);
    ASSERT_TRUE(replaced) << replaced.error().message();
    if (i % 500 == 0) keep_house();
  }
  std::printf("%d replacements: %.3f ms each, RSS %zu -> %zu KiB\n", replacements,
              milliseconds_since(start) / replacements, memory, resident_kilobytes());
  keep_house();
  EXPECT_EQ(count_pins(), pins);
  EXPECT_EQ(count_descriptors(), descriptors);
  EXPECT_LT(resident_kilobytes(), memory + 16 * 1024);
  EXPECT_EQ(tcp_in(cgroup, "192.0.2.1"), 0) << "the grant is kept through all of them";
}

TEST_F(HostScale, ReplacementsLeaveNothingBehind) { replace_often(1000); }
TEST_F(SoakHostScale, ReplacementsLeaveNothingBehind) { replace_often(10'000); }

}  // namespace
}  // namespace namewall::kernel_tests
