#include "agent/host/held_places.h"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <utility>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace namewall::agent {
namespace {

constexpr std::string_view kStart = "proxy.";
constexpr std::pair<HeldKind, std::string_view> kKinds[] = {
    {HeldKind::kUdp, "udp"}, {HeldKind::kTcp, "tcp"}, {HeldKind::kNetns, "netns"}, {HeldKind::kDiagnosis, "diagnosis"}};

bool is_of_place(HeldKind kind) { return kind == HeldKind::kUdp || kind == HeldKind::kTcp; }

std::string cookie_text(std::uint64_t cookie) {
  char digits[16];
  return {digits, std::to_chars(digits, digits + sizeof digits, cookie, 16).ptr};
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text, int base) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> cookie_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (::getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) != 0) return std::nullopt;
  return cookie;
}

bool is_in_place(const ProxySockets& sockets, std::uint64_t cookie, const ResolverAddress& resolver) {
  if (!sockets.udp || !sockets.tcp) return false;
  const auto place = locate(sockets);
  return place && place->netns_cookie == cookie && place->is_ipv6 != resolver.address.is_v4();
}

}  // namespace

std::string text_of(const HeldName& name) {
  std::string text = std::string(kStart) + cookie_text(name.netns_cookie);
  if (is_of_place(name.kind)) {
    std::string address = name.resolver.address.to_string();
    std::ranges::replace(address, ':', '_');
    text += "." + address + "-" + std::to_string(name.resolver.port.number);
  }
  for (const auto& [kind, word] : kKinds) {
    if (kind == name.kind) text += "." + std::string(word);
  }
  return text;
}

std::optional<HeldName> parse_held_name(std::string_view whole) {
  if (!whole.starts_with(kStart)) return std::nullopt;
  const std::string_view text = whole.substr(kStart.size());
  const std::size_t first = text.find('.'), last = text.rfind('.');
  if (first == std::string_view::npos) return std::nullopt;
  const auto cookie = parse_number<std::uint64_t>(text.substr(0, first), 16);
  const auto kind = std::ranges::find(kKinds, text.substr(last + 1), [](const auto& entry) { return entry.second; });
  if (!cookie || kind == std::end(kKinds)) return std::nullopt;
  HeldName name{*cookie, kind->first, {}};
  if (is_of_place(name.kind)) {
    if (first == last) return std::nullopt;
    std::string where(text.substr(first + 1, last - first - 1));
    const std::size_t dash = where.rfind('-');
    if (dash == std::string::npos) return std::nullopt;
    const auto port = parse_number<std::uint16_t>(std::string_view(where).substr(dash + 1), 10);
    where.resize(dash);
    std::ranges::replace(where, '_', ':');
    const auto address = parse_address(where);
    if (!port || !address) return std::nullopt;
    name.resolver = {*address, Port{*port}};
  }
  return text_of(name) == whole ? std::optional(name) : std::nullopt;
}

std::map<std::uint64_t, AdoptedNetns> HeldPlaces::adopt(std::vector<HeldDescriptor> held) {
  std::map<std::uint64_t, AdoptedNetns> found;
  for (HeldDescriptor& descriptor : held) {
    const auto name = parse_held_name(descriptor.name);
    if (!name) continue;
    names_.insert(descriptor.name);
    AdoptedNetns& netns = found[name->netns_cookie];
    switch (name->kind) {
      case HeldKind::kUdp:
        netns.places[name->resolver].udp = std::move(descriptor.fd);
        break;
      case HeldKind::kTcp:
        netns.places[name->resolver].tcp = std::move(descriptor.fd);
        break;
      case HeldKind::kNetns:
        netns.netns = std::move(descriptor.fd);
        break;
      case HeldKind::kDiagnosis:
        if (cookie_of(descriptor.fd.get()) == name->netns_cookie) netns.diagnosis = std::move(descriptor.fd);
        break;
    }
  }
  for (auto& [cookie, netns] : found) {
    std::erase_if(netns.places, [&, netns_cookie = cookie](const auto& place) {
      if (is_in_place(place.second, netns_cookie, place.first)) return false;
      release(netns_cookie, place.first);
      return true;
    });
  }
  return found;
}

void HeldPlaces::hold_one(const HeldName& name, int fd) {
  const std::string text = text_of(name);
  if (names_.contains(text) || names_.size() >= kMaxHeld) return;
  if (notify_.hold(text, fd)) names_.insert(text);
}

void HeldPlaces::hold(const ResolverAddress& resolver, std::uint64_t netns_cookie, const ProxySockets& sockets) {
  if (names_.size() + 2 > kMaxHeld) return;  // one without the other serves nobody
  hold_one({netns_cookie, HeldKind::kUdp, resolver}, sockets.udp.get());
  hold_one({netns_cookie, HeldKind::kTcp, resolver}, sockets.tcp.get());
}

void HeldPlaces::hold_netns(std::uint64_t netns_cookie, int netns, int diagnosis) {
  if (names_.size() + 2 > kMaxHeld) return;
  hold_one({netns_cookie, HeldKind::kNetns, {}}, netns);
  hold_one({netns_cookie, HeldKind::kDiagnosis, {}}, diagnosis);
}

void HeldPlaces::release(std::uint64_t netns_cookie, const ResolverAddress& resolver) {
  for (const HeldKind kind : {HeldKind::kUdp, HeldKind::kTcp}) {
    const std::string name = text_of({netns_cookie, kind, resolver});
    if (names_.erase(name) != 0) (void)notify_.release(name);
  }
}

void HeldPlaces::release(std::uint64_t netns_cookie) {
  const std::string start = std::string(kStart) + cookie_text(netns_cookie) + ".";
  for (auto it = names_.lower_bound(start); it != names_.end() && it->starts_with(start);) {
    (void)notify_.release(*it);
    it = names_.erase(it);
  }
}

}  // namespace namewall::agent
