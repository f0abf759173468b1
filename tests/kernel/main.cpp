// Runs the kernel tests, or says in one line why this host cannot: a skip, and a failure where
// NAMEWALL_REQUIRE_KERNEL=1.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "tests/kernel/support/requirements.h"

namespace {

// Fails or skips every test when the host lacks something, so that no test is silently absent from the count.
class HostRequirements : public testing::Environment {
 public:
  void SetUp() override {
    const auto missing = namewall::kernel_tests::find_missing_requirement();
    if (!missing) return;
    const char* required = std::getenv("NAMEWALL_REQUIRE_KERNEL");
    if (required != nullptr && std::string(required) == "1") {
      GTEST_FAIL() << *missing << " (NAMEWALL_REQUIRE_KERNEL=1)";
    }
    GTEST_SKIP() << *missing;
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::AddGlobalTestEnvironment(new HostRequirements);
  return RUN_ALL_TESTS();
}
