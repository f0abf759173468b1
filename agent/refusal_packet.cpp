#include "agent/refusal_packet.h"

#include <algorithm>
#include <array>

#include "policy/dns_message.h"

namespace namewall::agent {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kIpv4Header = 20, kIpv6Header = 40, kUdpHeader = 8, kDnsHeader = 12;
constexpr std::size_t kOptHeader = 11;        // root owner, type, class, TTL, RDLENGTH (RFC 6891 section 6.1.2)
constexpr std::size_t kMessageLimit = 512;    // RFC 1035 section 4.2.1: what every client takes
constexpr std::uint16_t kOurUdpSize = 1232;   // said in our OPT; we never read an answer, any sane value serves
constexpr std::uint16_t kExtendedError = 15;  // option code, RFC 8914 section 2
constexpr std::uint8_t kProtocolUdp = 17;

std::uint16_t read16(Bytes bytes, std::size_t at) { return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]); }

void put16(std::vector<std::uint8_t>& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

void set16(std::vector<std::uint8_t>& out, std::size_t at, std::uint16_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}

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
  if (udp.size() < kUdpHeader || read16(udp, 4) != udp.size()) return std::nullopt;
  return Datagram{source, destination, read16(udp, 0), read16(udp, 2), udp.subspan(kUdpHeader)};
}

std::optional<Datagram> read_datagram(Bytes packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4 == 4) {
    if (packet.size() < kIpv4Header || packet[0] != 0x45 || packet[9] != kProtocolUdp) return std::nullopt;
    if ((read16(packet, 6) & 0x3fff) != 0) return std::nullopt;  // more fragments, or an offset
    const std::size_t length = read16(packet, 2);
    if (length < kIpv4Header || length > packet.size()) return std::nullopt;
    return read_udp(packet.subspan(12, 4), packet.subspan(16, 4), packet.subspan(kIpv4Header, length - kIpv4Header));
  }
  if (packet[0] >> 4 == 6) {
    if (packet.size() < kIpv6Header || packet[6] != kProtocolUdp) return std::nullopt;
    const std::size_t length = read16(packet, 4);
    if (length > packet.size() - kIpv6Header) return std::nullopt;
    return read_udp(packet.subspan(8, 16), packet.subspan(24, 16), packet.subspan(kIpv6Header, length));
  }
  return std::nullopt;
}

struct Refusal {
  std::uint8_t rcode;
  std::uint16_t extended_error;
};

Refusal refusal_of(RefuseWith refuse_with) {
  switch (refuse_with) {
    case RefuseWith::kRefused:
      return {5, 18};
    case RefuseWith::kNodata:
      return {0, 17};
    case RefuseWith::kNxdomain:
      break;
  }
  return {3, 15};
}

// At most `room` bytes of `text`, without half a UTF-8 character at its end.
std::string_view cut(std::string_view text, std::size_t room) {
  if (text.size() <= room) return text;
  while (room > 0 && (static_cast<std::uint8_t>(text[room]) & 0xc0) == 0x80) --room;
  return text.substr(0, room);
}

std::optional<std::vector<std::uint8_t>> build_message(Bytes question, RefuseWith refuse_with, std::string_view text) {
  const auto parsed = parse_question(question);
  if (!parsed) return std::nullopt;
  const std::size_t name_length = parsed->name.text().empty() ? 1 : parsed->name.text().size() + 2;
  const std::size_t question_end = kDnsHeader + name_length + 4;
  const bool has_opt = read16(question, 10) != 0;
  if (question.size() < question_end + (has_opt ? kOptHeader : 0)) return std::nullopt;

  const Refusal refusal = refusal_of(refuse_with);
  std::vector<std::uint8_t> out(question.begin(), question.begin() + 2);
  out.push_back(static_cast<std::uint8_t>(0x80 | (question[2] & 0x01)));                  // QR; RD copied
  out.push_back(static_cast<std::uint8_t>(0x80 | (question[3] & 0x10) | refusal.rcode));  // RA; CD copied
  for (const std::size_t count : {std::size_t{1}, std::size_t{0}, std::size_t{0}, std::size_t{has_opt}}) {
    put16(out, count);
  }
  append(out, question.subspan(kDnsHeader, question_end - kDnsHeader));  // in the client's own spelling (0x20)
  if (!has_opt) return out;

  const std::string_view shown = cut(text, kMessageLimit - out.size() - kOptHeader - 6);
  out.push_back(0);
  put16(out, kTypeOpt);
  put16(out, kOurUdpSize);
  put16(out, 0);                                                      // extended rcode, version
  put16(out, std::size_t{question[question_end + 7]} << 8 & 0x8000);  // DO copied (RFC 3225 section 3)
  put16(out, 6 + shown.size());
  put16(out, kExtendedError);
  put16(out, 2 + shown.size());
  put16(out, refusal.extended_error);
  out.insert(out.end(), shown.begin(), shown.end());
  return out;
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
  const auto message = build_message(datagram->message, refuse_with, text);
  if (!message) return std::nullopt;

  const std::size_t udp_length = kUdpHeader + message->size();
  std::vector<std::uint8_t> out;
  if (datagram->source.size() == 4) {
    out = {0x45, 0};
    put16(out, kIpv4Header + udp_length);
    append(out, std::array<std::uint8_t, 8>{0, 0, 0x40, 0, 64, kProtocolUdp, 0, 0});  // id, DF, TTL, protocol, checksum
    append(out, datagram->destination);
    append(out, datagram->source);
    set16(out, 10, checksum({out}));
  } else {
    out = {0x60, 0, 0, 0};
    put16(out, udp_length);
    append(out, std::array<std::uint8_t, 2>{kProtocolUdp, 64});
    append(out, datagram->destination);
    append(out, datagram->source);
  }
  const std::size_t udp = out.size();
  put16(out, datagram->destination_port);
  put16(out, datagram->source_port);
  put16(out, udp_length);
  put16(out, 0);
  append(out, *message);

  const std::array<std::uint8_t, 4> pseudo = {0, kProtocolUdp, static_cast<std::uint8_t>(udp_length >> 8),
                                              static_cast<std::uint8_t>(udp_length)};
  const std::uint16_t sum = checksum({datagram->source, datagram->destination, pseudo, Bytes(out).subspan(udp)});
  set16(out, udp + 6, sum == 0 ? 0xffff : sum);  // RFC 768: zero would say "none"
  return out;
}

}  // namespace namewall::agent
