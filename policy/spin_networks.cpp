#include "policy/spin_networks.h"

#include <algorithm>
#include <map>
#include <optional>

#include "policy/escape.h"

namespace namewall {
namespace {

// The whole network lies in one of these: not global. Multicast scopes are looked at apart.
constexpr std::string_view kNotGlobal[] = {"0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",   "127.0.0.0/8",
                                           "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",
                                           "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
                                           "240.0.0.0/4",    "::/128",        "::1/128",         "2001:db8::/32",
                                           "fc00::/7",       "fe80::/10",     "fec0::/10"};
constexpr std::string_view kGlobalAllTheSame[] = {"192.0.0.9/32", "192.0.0.10/32"};
constexpr std::uint8_t kGlobalScope = 0xe;
constexpr std::uint8_t kScopeBits = 16;

std::vector<SpinNetwork> read_all(std::span<const std::string_view> texts) {
  std::vector<SpinNetwork> networks;
  for (const std::string_view text : texts) networks.push_back(*SpinNetwork::parse(text));
  return networks;
}

bool lies_in(const SpinNetwork& network, const std::vector<SpinNetwork>& others) {
  return std::any_of(others.begin(), others.end(), [&](const SpinNetwork& other) {
    return network.length() >= other.length() && other.contains(network.base());
  });
}

bool is_global(const SpinNetwork& network) {
  static const std::vector<SpinNetwork> not_global = read_all(kNotGlobal);
  static const std::vector<SpinNetwork> global_all_the_same = read_all(kGlobalAllTheSame);
  if (lies_in(network, global_all_the_same)) return true;
  const auto& bytes = network.base().address.bytes();
  if (!network.base().is_v4 && bytes[0] == 0xff) {
    return network.length() >= kScopeBits && (bytes[1] & 0xf) == kGlobalScope;
  }
  return !lies_in(network, not_global);
}

// Neighbours become the network that holds both; what lies in another goes.
std::vector<SpinNetwork> collapsed(std::vector<SpinNetwork> left) {
  std::map<SpinNetwork, SpinNetwork> by_parent;
  while (!left.empty()) {
    const SpinNetwork network = left.back();
    left.pop_back();
    const auto [place, is_new] = by_parent.try_emplace(network.parent(), network);
    if (is_new || place->second == network) continue;
    left.push_back(place->first);
    by_parent.erase(place);
  }
  std::vector<SpinNetwork> sorted;
  for (const auto& [parent, network] : by_parent) sorted.push_back(network);
  std::sort(sorted.begin(), sorted.end());
  std::vector<SpinNetwork> kept;
  for (const SpinNetwork& network : sorted) {
    if (!lies_in(network, kept)) kept.push_back(network);
  }
  return kept;
}

// ::ffff:a.b.c.d and ::a.b.c.d: the IPv4 address.
std::optional<SpinAddress> inner_ipv4(const SpinAddress& address) {
  if (address.is_v4) return std::nullopt;
  const auto& bytes = address.address.bytes();
  const bool is_mapped = address.address.is_v4();
  const bool is_compatible =
      std::all_of(bytes.begin(), bytes.begin() + 12, [](std::uint8_t byte) { return byte == 0; });
  if (!is_mapped && !is_compatible) return std::nullopt;
  return SpinAddress{Address::v4({bytes[12], bytes[13], bytes[14], bytes[15]}), true};
}

}  // namespace

Result<SpinNetworks> SpinNetworks::read(std::span<const std::string> words) {
  SpinNetworks result;
  for (const std::string& word : words) {
    if (word == "private") {
      result.blocks_private_ = true;
    } else if (const auto network = SpinNetwork::parse(word)) {
      result.networks_.push_back(*network);
    } else {
      return fail(ErrorKind::kInvalid, quote_for_display(word) + " is no network such as 10.0.0.0/8, nor `private`");
    }
  }
  result.networks_ = collapsed(std::move(result.networks_));
  // Spin leaves out what "private" holds as a whole, and takes all of ff00::/8 for that.
  if (result.blocks_private_) std::erase_if(result.networks_, [](const SpinNetwork& one) { return !is_global(one); });
  return result;
}

bool SpinNetworks::blocks(const SpinAddress& address) const {
  if (blocks_private_ && !is_global(SpinNetwork(address, address.bits()))) return true;
  const auto holds = [&](const SpinNetwork& network) { return network.contains(address); };
  if (std::any_of(networks_.begin(), networks_.end(), holds)) return true;
  const std::optional<SpinAddress> inner = inner_ipv4(address);
  return inner && blocks(*inner);
}

}  // namespace namewall
