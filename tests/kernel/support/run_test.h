// The fixture of tests that start commands: what the host lacks is a skip, and a failure where
// NAMEWALL_REQUIRE_KERNEL=1.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/kernel/support/supervised_run.h"

namespace namewall::kernel_tests {

class RunTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string missing = find_missing_for_runs();
    if (missing.empty()) return;
    const char* required = std::getenv("NAMEWALL_REQUIRE_KERNEL");
    if (required != nullptr && std::string(required) == "1") GTEST_FAIL() << missing;
    GTEST_SKIP() << missing;
  }
};

}  // namespace namewall::kernel_tests
