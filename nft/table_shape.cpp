#include "nft/table_shape.h"

#include <algorithm>
#include <cassert>

namespace namewall::nft {
namespace {

using enum KeyPart;
constexpr std::array kCgroupKey{kCgroup};
constexpr std::array kEndpoint4{kCgroup, kAddress4, kProtocol, kPort};
constexpr std::array kEndpoint6{kCgroup, kAddress6, kProtocol, kPort};
constexpr std::array kAddressOnly4{kCgroup, kAddress4, kProtocol};
constexpr std::array kAddressOnly6{kCgroup, kAddress6, kProtocol};
constexpr std::array kPortOnly{kCgroup, kProtocol, kPort};
constexpr std::array kOwnPair{kMark, kCgroup};
constexpr std::array kResolver4{kAddress4, kProtocol, kPort};
constexpr std::array kResolver6{kAddress6, kProtocol, kPort};
constexpr std::array kMarkData{kMark};
constexpr std::array kPortData{kPort};

constexpr std::uint32_t kGrantGc = 30'000, kDynamicGc = 10'000;
constexpr std::uint32_t kMaxFlows = 262'144, kMaxAsked = 131'072, kMaxServed = 262'144, kMaxCounted = 65'536;

constexpr SetShape grants(SetId id, std::string_view name, std::span<const KeyPart> key) {
  return {.id = id, .name = name, .key = key, .has_timeouts = true, .gc_interval_ms = kGrantGc};
}

constexpr SetShape intervals(SetId id, std::string_view name, std::span<const KeyPart> key) {
  return {.id = id, .name = name, .key = key, .has_intervals = true};
}

constexpr SetShape peers(SetId id, std::string_view name, std::span<const KeyPart> key, std::uint32_t size) {
  return {.id = id,
          .name = name,
          .key = key,
          .has_timeouts = true,
          .is_dynamic = true,
          .size = size,
          .gc_interval_ms = kDynamicGc};
}

constexpr std::array kShapes{
    SetShape{.id = SetId::kEnforced, .name = "enforced", .key = kCgroupKey},
    SetShape{.id = SetId::kAudited, .name = "audited", .key = kCgroupKey},
    SetShape{.id = SetId::kParents, .name = "parents", .key = kCgroupKey},
    SetShape{.id = SetId::kTokens, .name = "tokens", .key = kCgroupKey, .data = kMarkData},
    grants(SetId::kLearned4, "learned4", kEndpoint4),
    grants(SetId::kLearned6, "learned6", kEndpoint6),
    grants(SetId::kWide1_4, "wide1_4", kAddressOnly4),
    grants(SetId::kWide2_4, "wide2_4", kAddressOnly4),
    grants(SetId::kWide3_4, "wide3_4", kAddressOnly4),
    grants(SetId::kWide4_4, "wide4_4", kAddressOnly4),
    grants(SetId::kWide1_6, "wide1_6", kAddressOnly6),
    grants(SetId::kWide2_6, "wide2_6", kAddressOnly6),
    grants(SetId::kWide3_6, "wide3_6", kAddressOnly6),
    grants(SetId::kWide4_6, "wide4_6", kAddressOnly6),
    intervals(SetId::kWidePorts1, "wide_ports1", kPortOnly),
    intervals(SetId::kWidePorts2, "wide_ports2", kPortOnly),
    intervals(SetId::kWidePorts3, "wide_ports3", kPortOnly),
    intervals(SetId::kWidePorts4, "wide_ports4", kPortOnly),
    intervals(SetId::kFixed4, "fixed4", kEndpoint4),
    intervals(SetId::kFixed6, "fixed6", kEndpoint6),
    intervals(SetId::kClosed4, "closed4", kEndpoint4),
    intervals(SetId::kClosed6, "closed6", kEndpoint6),
    intervals(SetId::kListen, "listen", kPortOnly),
    SetShape{.id = SetId::kLoopbackAny, .name = "loopback_any", .key = kCgroupKey},
    SetShape{.id = SetId::kLoopbackOwn, .name = "loopback_own", .key = kCgroupKey},
    SetShape{.id = SetId::kOwnPairs, .name = "own_pairs", .key = kOwnPair},
    SetShape{.id = SetId::kResolvers4, .name = "resolvers4", .key = kEndpoint4},
    SetShape{.id = SetId::kResolvers6, .name = "resolvers6", .key = kEndpoint6},
    SetShape{.id = SetId::kPlaces4, .name = "places4", .key = kResolver4, .data = kPortData},
    SetShape{.id = SetId::kPlaces6, .name = "places6", .key = kResolver6, .data = kPortData},
    peers(SetId::kFlows4, "flows4", kEndpoint4, kMaxFlows),
    peers(SetId::kFlows6, "flows6", kEndpoint6, kMaxFlows),
    peers(SetId::kAsked4, "asked4", kEndpoint4, kMaxAsked),
    peers(SetId::kAsked6, "asked6", kEndpoint6, kMaxAsked),
    peers(SetId::kServed4, "served4", kEndpoint4, kMaxServed),
    peers(SetId::kServed6, "served6", kEndpoint6, kMaxServed),
    SetShape{.id = SetId::kRefused,
             .name = "refused",
             .key = kCgroupKey,
             .is_dynamic = true,
             .stateful = Stateful::kCounter,
             .size = kMaxCounted},
    SetShape{.id = SetId::kReported,
             .name = "reported",
             .key = kCgroupKey,
             .has_timeouts = true,
             .is_dynamic = true,
             .stateful = Stateful::kLimit,
             .size = kMaxCounted,
             .gc_interval_ms = kDynamicGc},
};

constexpr bool is_indexed_by_id() {
  for (std::size_t i = 0; i < kShapes.size(); ++i) {
    if (static_cast<std::size_t>(kShapes[i].id) != i) return false;
  }
  return kShapes.size() == static_cast<std::size_t>(SetId::kCount);
}
static_assert(is_indexed_by_id());

}  // namespace

std::size_t length_of(KeyPart part) {
  switch (part) {
    case kCgroup:
      return 8;
    case kAddress4:
    case kMark:
      return 4;
    case kAddress6:
      return 16;
    case kProtocol:
      return 1;
    case kPort:
      return 2;
  }
  return 0;
}

std::size_t size_of(KeyPart part) { return (length_of(part) + 3) & ~std::size_t{3}; }

std::size_t key_size(const SetShape& shape) {
  std::size_t size = 0;
  for (const auto part : shape.key) size += size_of(part);
  return size;
}

const SetShape& shape_of(SetId id) {
  assert(id < SetId::kCount);
  return kShapes[static_cast<std::size_t>(id)];
}

std::optional<SetId> find_set(std::string_view name) {
  const auto found = std::ranges::find(kShapes, name, &SetShape::name);
  if (found == kShapes.end()) return std::nullopt;
  return found->id;
}

std::span<const SetShape> all_sets() { return kShapes; }

}  // namespace namewall::nft
