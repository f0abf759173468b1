#include "bpf/proxy_places.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "bpf/abi.h"
#include "bpf/rule_entries.h"

namespace namewall::bpf {
namespace {

std::uint16_t index_of(Protocol protocol) { return protocol == Protocol::kTcp ? NW_PROTOCOL_TCP : NW_PROTOCOL_UDP; }

nw_proxy_key key_of(const ProxyPlace& place) {
  nw_proxy_key key{};
  key.netns_cookie = place.netns_cookie;
  copy_address(place.resolver.address, key.address);
  key.port = place.resolver.port.number;
  key.protocol = index_of(place.protocol);
  return key;
}

nw_proxy_port_key port_key_of(const nw_proxy_key& key, const Address& resolver, std::uint32_t port) {
  return {key.netns_cookie, static_cast<__u16>(port), static_cast<__u16>(resolver.is_v4() ? 4 : 6), key.protocol, 0};
}

Result<void> erase(int map_fd, const void* key) {
  const int error = bpf_map_delete_elem(map_fd, key);
  if (error < 0 && error != -ENOENT) return fail_errno(-error, "cannot remove a place of the proxy");
  return {};
}

}  // namespace

Result<void> ProxyPlaces::add(const ProxyPlace& place) const {
  const nw_proxy_key key = key_of(place);
  const nw_proxy_port_key port_key = port_key_of(key, place.resolver.address, place.port.number);
  nw_resolver resolver{};
  copy_address(place.resolver.address, resolver.address);
  resolver.port = place.resolver.port.number;
  std::uint32_t former = 0;
  if (bpf_map_lookup_elem(ports_fd_, &key, &former) < 0) former = place.port.number;
  // Answers are given their address before the first question goes there.
  int error = bpf_map_update_elem(resolvers_fd_, &port_key, &resolver, BPF_ANY);
  const std::uint32_t port = place.port.number;
  if (error == 0) error = bpf_map_update_elem(ports_fd_, &key, &port, BPF_ANY);
  if (error < 0) return fail_errno(-error, "cannot write a place of the proxy");
  if (former == port) return {};
  const nw_proxy_port_key former_key = port_key_of(key, place.resolver.address, former);
  return erase(resolvers_fd_, &former_key);
}

Result<void> ProxyPlaces::remove(const ProxyPlace& place) const {
  const nw_proxy_key key = key_of(place);
  const nw_proxy_port_key port_key = port_key_of(key, place.resolver.address, place.port.number);
  std::uint32_t port = 0;
  if (bpf_map_lookup_elem(ports_fd_, &key, &port) == 0 && port == place.port.number) {
    if (auto done = erase(ports_fd_, &key); !done) return done;
  }
  return erase(resolvers_fd_, &port_key);
}

std::vector<ProxyPlace> ProxyPlaces::list() const {
  std::vector<ProxyPlace> places;
  nw_proxy_key key{};
  for (const nw_proxy_key* at = nullptr; bpf_map_get_next_key(ports_fd_, at, &key) == 0; at = &key) {
    std::uint32_t port = 0;
    if (bpf_map_lookup_elem(ports_fd_, &key, &port) < 0) continue;
    places.push_back({.netns_cookie = key.netns_cookie,
                      .resolver = {to_address(key.address), Port{key.port}},
                      .protocol = key.protocol == NW_PROTOCOL_TCP ? Protocol::kTcp : Protocol::kUdp,
                      .port = Port{static_cast<std::uint16_t>(port)}});
  }
  return places;
}

}  // namespace namewall::bpf
