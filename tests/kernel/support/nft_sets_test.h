// A table with all sets, plain, in a network namespace of its own.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nft/listing.h"
#include "nft/transaction.h"
#include "tests/kernel/support/empty_netns.h"

namespace namewall::kernel_tests {

class NftSetsTest : public testing::Test {
 protected:
  explicit NftSetsTest(nft::TableKind kind = nft::TableKind::kPlain);

  // Must succeed; what fails is a failure of the test.
  void commit(nft::Batch& batch);
  void add(const std::vector<nft::Element>& elements);
  nft::CommitResult try_commit(nft::Batch& batch);
  std::vector<nft::Element> list(nft::SetId set);

  EmptyNetns netns_;
  nft::NftSocket socket_;
};

// "10.x.y.z" and tcp/443 by its number, for an hour.
nft::Element numbered_grant(std::uint32_t number, std::uint64_t cgroup_id = 1);
std::vector<nft::Element> numbered_grants(std::uint32_t first, std::uint32_t count);

}  // namespace namewall::kernel_tests
