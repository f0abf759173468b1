#include "agent/refusal_packet.h"

#include <array>

#include "policy/dns_reply.h"
#include "policy/wire_bytes.h"

namespace namewall::agent {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kIpv4Header = 20, kIpv6Header = 40, kUdpHeader = 8;
constexpr std::uint8_t kProtocolUdp = 17;

void append(std::vector<std::uint8_t>& out, Bytes bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

// The parts of a question packet; `source` and `destination` have 4 or 16 bytes.
struct Datagram {
  Bytes source;
  Bytes destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  Bytes message;
};

// `udp` is all that the IP header announces: a datagram that is shorter or longer than that is none of ours.
std::optional<Datagram> read_udp(Bytes source, Bytes destination, Bytes udp) {
  if (udp.size() < kUdpHeader || read_u16(udp, 4) != udp.size()) return std::nullopt;
  return Datagram{source, destination, read_u16(udp, 0), read_u16(udp, 2), udp.subspan(kUdpHeader)};
}

std::optional<Datagram> read_datagram(Bytes packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4 == 4) {
    if (packet.size() < kIpv4Header || packet[0] != 0x45 || packet[9] != kProtocolUdp) return std::nullopt;
    if ((read_u16(packet, 6) & 0x3fff) != 0) return std::nullopt;  // more fragments, or an offset
    const std::size_t length = read_u16(packet, 2);
    if (length < kIpv4Header || length > packet.size()) return std::nullopt;
    return read_udp(packet.subspan(12, 4), packet.subspan(16, 4), packet.subspan(kIpv4Header, length - kIpv4Header));
  }
  if (packet[0] >> 4 == 6) {
    if (packet.size() < kIpv6Header || packet[6] != kProtocolUdp) return std::nullopt;
    const std::size_t length = read_u16(packet, 4);
    if (length > packet.size() - kIpv6Header) return std::nullopt;
    return read_udp(packet.subspan(8, 16), packet.subspan(24, 16), packet.subspan(kIpv6Header, length));
  }
  return std::nullopt;
}

// The Internet checksum (RFC 1071) over the concatenation of `parts`; every part but the last has an even length.
std::uint16_t checksum(std::initializer_list<Bytes> parts) {
  std::uint32_t sum = 0;
  for (const Bytes part : parts) {
    for (std::size_t i = 0; i < part.size(); ++i) sum += std::uint32_t{part[i]} << (i % 2 == 0 ? 8 : 0);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

std::optional<std::vector<std::uint8_t>> build_refusal_answer(std::span<const std::uint8_t> question_packet,
                                                              RefuseWith refuse_with, std::string_view text) {
  const auto datagram = read_datagram(question_packet);
  if (!datagram) return std::nullopt;
  const auto message = build_reply(datagram->message, refusal_reply(refuse_with, text));
  if (!message) return std::nullopt;

  const std::size_t udp_length = kUdpHeader + message->size();
  std::vector<std::uint8_t> out;
  if (datagram->source.size() == 4) {
    out = {0x45, 0};
    append_u16(out, kIpv4Header + udp_length);
    append(out, std::array<std::uint8_t, 8>{0, 0, 0x40, 0, 64, kProtocolUdp, 0, 0});  // id, DF, TTL, protocol, checksum
    append(out, datagram->destination);
    append(out, datagram->source);
    write_u16(out, 10, checksum({out}));
  } else {
    out = {0x60, 0, 0, 0};
    append_u16(out, udp_length);
    append(out, std::array<std::uint8_t, 2>{kProtocolUdp, 64});
    append(out, datagram->destination);
    append(out, datagram->source);
  }
  const std::size_t udp = out.size();
  append_u16(out, datagram->destination_port);
  append_u16(out, datagram->source_port);
  append_u16(out, udp_length);
  append_u16(out, 0);
  append(out, *message);

  const std::array<std::uint8_t, 4> pseudo = {0, kProtocolUdp, static_cast<std::uint8_t>(udp_length >> 8),
                                              static_cast<std::uint8_t>(udp_length)};
  const std::uint16_t sum = checksum({datagram->source, datagram->destination, pseudo, Bytes(out).subspan(udp)});
  write_u16(out, udp + 6, sum == 0 ? 0xffff : sum);  // RFC 768: zero would say "none"
  return out;
}

}  // namespace namewall::agent
