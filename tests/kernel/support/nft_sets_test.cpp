#include "tests/kernel/support/nft_sets_test.h"

#include <chrono>

namespace namewall::kernel_tests {

using namespace nft;
using namespace std::chrono_literals;

NftSetsTest::NftSetsTest(TableKind kind) : socket_(NftSocket::open().value()) {
  Batch batch;
  batch.add_table(kind);
  for (const auto& shape : all_sets()) batch.add_set(shape);
  commit(batch);
}

CommitResult NftSetsTest::try_commit(Batch& batch) {
  const auto result = socket_.commit(batch);
  if (result) return *result;
  ADD_FAILURE() << result.error().message();
  return {};
}

void NftSetsTest::commit(Batch& batch) {
  const auto result = try_commit(batch);
  EXPECT_TRUE(result.is_committed()) << result.text();
}

void NftSetsTest::add(const std::vector<Element>& elements) {
  Batch batch;
  batch.add_elements(elements);
  commit(batch);
}

std::vector<Element> NftSetsTest::list(SetId set) {
  std::vector<Element> elements;
  const auto listed = list_elements(socket_, set, [&](const Element& element) { elements.push_back(element); });
  if (!listed) ADD_FAILURE() << listed.error().message();
  return elements;
}

Element numbered_grant(std::uint32_t number, std::uint64_t cgroup_id) {
  const auto byte = [number](int shift) { return static_cast<std::uint8_t>(number >> shift); };
  return {.set = SetId::kLearned4,
          .key = encode(EndpointKey{cgroup_id, Address::v4({10, byte(16), byte(8), byte(0)}), 6, 443}),
          .timeout = 1h,
          .comment = "registry-" + std::to_string(number) + ".example.org by *.example.org:443"};
}

std::vector<Element> numbered_grants(std::uint32_t first, std::uint32_t count) {
  std::vector<Element> elements;
  elements.reserve(count);
  for (auto i = first; i < first + count; ++i) elements.push_back(numbered_grant(i));
  return elements;
}

}  // namespace namewall::kernel_tests
