#include "policy/image_hash.h"

#include <cstring>
#include <string_view>
#include <type_traits>

namespace namewall {
namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
  return hash ^ (hash >> 32);
}

class Hasher {
 public:
  template <typename Number>
  requires std::is_integral_v<Number> || std::is_enum_v<Number>
  void add(Number number) { state_ = mix(state_, static_cast<std::uint64_t>(number)); }
  void add(std::string_view bytes) {
    add(bytes.size());
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, std::min(sizeof(word), bytes.size() - at));
      add(word);
    }
  }
  void add(const NameMasks& masks) {
    add(masks.allow);
    add(masks.allow_private);
    add(masks.deny);
  }
  void add(const Address& address) {
    std::array<std::uint64_t, 2> words;
    std::memcpy(words.data(), address.bytes().data(), sizeof(words));
    add(words[0]);
    add(words[1]);
  }
  std::uint64_t value() const {
    const std::uint64_t mixed = state_ * 0xD6E8FEB86659FD93ULL;
    const std::uint64_t hash = mixed ^ (mixed >> 29);
    return hash == 0 ? 1 : hash;
  }

 private:
  std::uint64_t state_ = 0xA0761D6478BD642FULL;
};

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes) {
  Hasher hasher;
  hasher.add(bytes);
  return hasher.value();
}

std::uint64_t hash_of(const PolicyImage& image) {
  Hasher hasher;
  hasher.add(std::string_view(image.name));
  if (image.backend != Backend::kBpf) hasher.add(image.backend);
  hasher.add(image.mode);
  hasher.add(image.loopback);
  hasher.add(image.listen);
  hasher.add(image.may_listen);
  hasher.add(image.ports.size());
  for (const PortInterval& interval : image.ports) {
    hasher.add(interval.start);
    hasher.add(interval.port_class);
  }
  hasher.add(image.names.size());
  for (const NameNode& node : image.names) {
    hasher.add(std::string_view(node.name));
    hasher.add(node.is_below);
    for (const NameMasks& masks : node.masks) hasher.add(masks);
    hasher.add(node.globs.size());
    for (const std::uint16_t glob : node.globs) hasher.add(glob);
  }
  hasher.add(image.globs.size());
  for (const Glob& glob : image.globs) {
    hasher.add(std::string_view(glob.pattern.text()));
    hasher.add(glob.masks);
  }
  hasher.add(image.addresses.size());
  for (const AddressNode& node : image.addresses) {
    hasher.add(node.prefix.base());
    hasher.add(node.prefix.is_v4());
    hasher.add(node.prefix.length());
    hasher.add(node.allow);
    hasher.add(node.deny);
    hasher.add(node.host_deny);
  }
  hasher.add(image.resolvers.size());
  for (const ResolverAddress& resolver : image.resolvers) {
    hasher.add(resolver.address);
    hasher.add(resolver.port.number);
  }
  hasher.add(image.min_ttl.count());
  hasher.add(image.max_ttl.count());
  hasher.add(image.grace.count());
  hasher.add(image.retain);
  hasher.add(image.max_addresses);
  hasher.add(image.learn);
  hasher.add(image.system_resolvers);
  hasher.add(image.refuse_with);
  hasher.add(image.hints);
  hasher.add(image.ech);
  hasher.add(image.cache);
  hasher.add(image.bounds.in_flight);
  hasher.add(image.bounds.per_second);
  hasher.add(image.bounds.fresh_per_second);
  hasher.add(image.bounds.connections);
  hasher.add(image.bounds.idle.count());
  hasher.add(image.agent_names.size());
  for (const DomainName& name : image.agent_names) hasher.add(std::string_view(name.text()));
  return hasher.value();
}

}  // namespace namewall
