#include "nft/element.h"

#include <netinet/in.h>

#include <cassert>
#include <charconv>
#include <cstring>

namespace namewall::nft {
namespace {

class KeyWriter {
 public:
  explicit KeyWriter(std::size_t size) : key_(size) {}
  KeyWriter& cgroup(std::uint64_t id) { return raw(&id, sizeof(id)); }
  KeyWriter& mark(std::uint32_t mark) { return raw(&mark, sizeof(mark)); }
  KeyWriter& address(const Address& address) {
    if (!address.is_v4()) return raw(address.bytes().data(), 16);
    const auto bytes = address.v4_bytes();
    return raw(bytes.data(), bytes.size());
  }
  KeyWriter& protocol(std::uint8_t number) {
    key_[at_] = number;
    at_ += 4;
    return *this;
  }
  KeyWriter& port(std::uint16_t port) {
    key_[at_] = static_cast<std::uint8_t>(port >> 8);
    key_[at_ + 1] = static_cast<std::uint8_t>(port);
    at_ += 4;
    return *this;
  }
  Bytes take() {
    assert(at_ == key_.size());
    return std::move(key_);
  }

 private:
  KeyWriter& raw(const void* bytes, std::size_t size) {
    std::memcpy(key_.data() + at_, bytes, size);
    at_ += size;
    return *this;
  }
  Bytes key_;
  std::size_t at_ = 0;
};

std::size_t address_size(const Address& address) { return address.is_v4() ? 4 : 16; }

void decode_part(KeyPart part, const std::uint8_t* at, KeyFields& fields) {
  switch (part) {
    case KeyPart::kCgroup:
      std::memcpy(&fields.cgroup_id, at, sizeof(fields.cgroup_id));
      break;
    case KeyPart::kMark:
      std::memcpy(&fields.mark, at, sizeof(fields.mark));
      break;
    case KeyPart::kAddress4:
      fields.address = Address::v4({at[0], at[1], at[2], at[3]});
      break;
    case KeyPart::kAddress6: {
      std::array<std::uint8_t, 16> bytes;
      std::memcpy(bytes.data(), at, bytes.size());
      fields.address = Address::v6(bytes);
      break;
    }
    case KeyPart::kProtocol:
      fields.ip_protocol = at[0];
      break;
    case KeyPart::kPort:
      fields.port = static_cast<std::uint16_t>(at[0] << 8 | at[1]);
      break;
  }
}

}  // namespace

EndpointKey endpoint_key(std::uint64_t cgroup_id, const Address& address, Protocol protocol, Port port) {
  switch (protocol) {
    case Protocol::kTcp:
      return {cgroup_id, address, IPPROTO_TCP, port.number};
    case Protocol::kUdp:
      return {cgroup_id, address, IPPROTO_UDP, port.number};
    case Protocol::kIcmp:
      break;
  }
  if (address.is_v4()) return {cgroup_id, address, IPPROTO_ICMP, kEchoRequest4};
  return {cgroup_id, address, IPPROTO_ICMPV6, kEchoRequest6};
}

Bytes encode_cgroup(std::uint64_t cgroup_id) { return KeyWriter(8).cgroup(cgroup_id).take(); }

Bytes encode(const EndpointKey& key) {
  return KeyWriter(16 + address_size(key.address))
      .cgroup(key.cgroup_id)
      .address(key.address)
      .protocol(key.ip_protocol)
      .port(key.port)
      .take();
}

Bytes encode_address(std::uint64_t cgroup_id, const Address& address, std::uint8_t ip_protocol) {
  return KeyWriter(12 + address_size(address)).cgroup(cgroup_id).address(address).protocol(ip_protocol).take();
}

Bytes encode_port(std::uint64_t cgroup_id, std::uint8_t ip_protocol, std::uint16_t port) {
  return KeyWriter(16).cgroup(cgroup_id).protocol(ip_protocol).port(port).take();
}

Bytes encode_own_pair(std::uint32_t mark, std::uint64_t cgroup_id) {
  return KeyWriter(12).mark(mark).cgroup(cgroup_id).take();
}

Bytes encode_place(const Address& resolver, std::uint8_t ip_protocol, std::uint16_t port) {
  return KeyWriter(8 + address_size(resolver)).address(resolver).protocol(ip_protocol).port(port).take();
}

Bytes encode_mark(std::uint32_t mark) { return KeyWriter(4).mark(mark).take(); }

Bytes encode_port_data(std::uint16_t port) {
  return {static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)};
}

std::optional<KeyFields> decode_key(SetId set, std::span<const std::uint8_t> key) {
  const auto& shape = shape_of(set);
  if (key.size() != key_size(shape)) return std::nullopt;
  KeyFields fields;
  const std::uint8_t* at = key.data();
  for (const auto part : shape.key) {
    decode_part(part, at, fields);
    at += size_of(part);
  }
  return fields;
}

std::optional<std::uint64_t> decode_cgroup(SetId set, std::span<const std::uint8_t> key) {
  const auto fields = decode_key(set, key);
  if (!fields) return std::nullopt;
  return fields->cgroup_id;
}

std::optional<EndpointKey> decode_endpoint(std::span<const std::uint8_t> key) {
  const auto fields = key.size() == 20   ? decode_key(SetId::kLearned4, key)
                      : key.size() == 32 ? decode_key(SetId::kLearned6, key)
                                         : std::nullopt;
  if (!fields) return std::nullopt;
  return EndpointKey{fields->cgroup_id, fields->address, fields->ip_protocol, fields->port};
}

}  // namespace namewall::nft
