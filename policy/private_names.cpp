#include "policy/private_names.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace namewall {
namespace {

constexpr std::array<std::string_view, 11> kZones = {"internal",
                                                     "local",
                                                     "lan",
                                                     "home",
                                                     "corp",
                                                     "intranet",
                                                     "private",
                                                     "localdomain",
                                                     "home.arpa",
                                                     "10.in-addr.arpa",
                                                     "168.192.in-addr.arpa"};

bool is_in_zone(std::string_view suffix, std::string_view zone) {
  return suffix == zone ||
         (suffix.size() > zone.size() && suffix.ends_with(zone) && suffix[suffix.size() - zone.size() - 1] == '.');
}

bool is_in_reverse_172(std::string_view suffix) {
  for (int second = 16; second < 32; ++second) {
    if (is_in_zone(suffix, std::to_string(second) + ".172.in-addr.arpa")) return true;
  }
  return false;
}

}  // namespace

bool has_only_private_answers(const NamePattern& pattern) {
  const std::string_view suffix = pattern.literal_suffix();
  if (pattern.is_exact() && suffix.find('.') == std::string_view::npos) return true;
  return is_in_reverse_172(suffix) ||
         std::any_of(kZones.begin(), kZones.end(), [&](std::string_view zone) { return is_in_zone(suffix, zone); });
}

const std::vector<Prefix>& private_networks() {
  static const std::vector<Prefix> kNetworks = {
      Prefix(Address::v4({10, 0, 0, 0}), 8, true), Prefix(Address::v4({172, 16, 0, 0}), 12, true),
      Prefix(Address::v4({192, 168, 0, 0}), 16, true), Prefix(Address::v4({100, 64, 0, 0}), 10, true),
      Prefix(Address::v6({0xfc}), 7, false)};
  return kNetworks;
}

}  // namespace namewall
