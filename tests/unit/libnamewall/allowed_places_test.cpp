extern "C" {
#include "libnamewall/allowed_places.h"
#include "libnamewall/namewall.h"
}

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace namewall::libnamewall_tests {
namespace {

std::string mount_point_in(std::string line) {
  const char* const found = namewall_cgroup_mount_point(line.data());
  return found == nullptr ? "none" : found;
}

TEST(NamewallAllowedPlaces, MountsOfBothCgroupVersionsAreFound) {
  EXPECT_EQ(mount_point_in("41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"),
            "/sys/fs/cgroup/unified");
  EXPECT_EQ(mount_point_in("32 31 0:29 /a /mnt/x\\040y\\134z rw shared:1 master:2 - cgroup cgroup rw,cpu\n"),
            "/mnt/x y\\z");
  EXPECT_EQ(mount_point_in("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"), "none");
  EXPECT_EQ(mount_point_in("27 1 254:0 / /cgroup2 rw,relatime - ext4 cgroup2 rw\n"), "none");
  for (const char* line : {"", "\n", "1 2 3", "1 2 0:3 / /x rw", "1 2 0:3 / /x rw -", "1 2 0:3 / /x rw - ", "     "}) {
    EXPECT_EQ(mount_point_in(line), "none") << line;
  }
  EXPECT_EQ(mount_point_in("1 2 0:3 / /x\\04 rw - cgroup2 n rw"), "/x\\04");
}

int remember(void* context, int fd, int) {
  char target[256];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), target, sizeof target);
  static_cast<std::vector<std::string>*>(context)->emplace_back(target, static_cast<std::size_t>(length));
  return 0;
}

TEST(NamewallAllowedPlaces, AllButSysAndWhatHoldsItIsVisited) {
  std::vector<std::string> places;
  int system_error = 0;
  ASSERT_EQ(namewall_visit_allowed_places(&remember, &places, &system_error), NAMEWALL_OK) << system_error;
  const auto has = [&](const char* place) { return std::ranges::find(places, place) != places.end(); };
  EXPECT_TRUE(has("/proc"));
  EXPECT_TRUE(has("/dev"));
  EXPECT_FALSE(has("/"));
  EXPECT_TRUE(std::ranges::none_of(places, [](const std::string& place) { return place.starts_with("/sys"); }));
}

TEST(NamewallAllowedPlaces, ARefusalOfTheVisitorEndsIt) {
  int system_error = 0;
  const auto refuse = [](void*, int, int) { return ENOSPC; };
  EXPECT_EQ(namewall_visit_allowed_places(refuse, nullptr, &system_error), NAMEWALL_SYSTEM);
  EXPECT_EQ(system_error, ENOSPC);
}

}  // namespace
}  // namespace namewall::libnamewall_tests
