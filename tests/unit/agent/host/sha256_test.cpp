#include "agent/host/sha256.h"

#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

// FIPS 180-4, the examples of one block and of none.
TEST(Sha256, IsThatOfTheStandard) {
  EXPECT_EQ(*sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(*sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace namewall::agent
