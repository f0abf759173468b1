#include "policy/dns_reply.h"

#include "policy/dns_message.h"
#include "policy/wire_bytes.h"

namespace namewall {
namespace {

constexpr std::uint8_t kFormatError = 1, kServerFailure = 2, kNameError = 3, kNotImplemented = 4, kRefused = 5;
constexpr std::size_t kMessageLimit = 512;  // RFC 1035 section 4.2.1: what every client takes
constexpr std::uint16_t kOptionExtendedError = 15;
constexpr std::size_t kErrorHeader = 6;  // option code, length, INFO-CODE

// At most `room` bytes of `text`, without half a UTF-8 character at its end.
std::string_view cut(std::string_view text, std::size_t room) {
  if (text.size() <= room) return text;
  while (room > 0 && (static_cast<std::uint8_t>(text[room]) & 0xc0) == 0x80) --room;
  return text.substr(0, room);
}

void append_opt(std::vector<std::uint8_t>& out, std::uint16_t question_flags, const OwnReply& reply) {
  out.push_back(0);
  append_u16(out, kTypeOpt);
  append_u16(out, kEdnsUdpSize);
  append_u16(out, 0);  // extended RCODE, version
  append_u16(out, question_flags & kOptDo);
  if (!reply.error) return append_u16(out, 0);
  const std::string_view shown = cut(reply.text, kMessageLimit - out.size() - 2 - kErrorHeader);
  append_u16(out, kErrorHeader + shown.size());
  append_u16(out, kOptionExtendedError);
  append_u16(out, 2 + shown.size());
  append_u16(out, static_cast<std::uint16_t>(*reply.error));
  out.insert(out.end(), shown.begin(), shown.end());
}

}  // namespace

OwnReply refusal_reply(RefuseWith refuse_with, std::string_view text) {
  switch (refuse_with) {
    case RefuseWith::kRefused:
      return {kRefused, ExtendedError::kProhibited, text};
    case RefuseWith::kNodata:
      return {0, ExtendedError::kFiltered, text};
    case RefuseWith::kNxdomain:
      break;
  }
  return {kNameError, ExtendedError::kBlocked, text};
}

OwnReply bound_reply(std::string_view text) { return {kRefused, ExtendedError::kProhibited, text}; }

OwnReply not_ready_reply(std::string_view text) { return {kServerFailure, ExtendedError::kNotReady, text}; }

OwnReply no_answer_reply(std::string_view text) { return {kServerFailure, ExtendedError::kNetworkError, text}; }

OwnReply truncated_reply() { return {.rcode = 0, .error = std::nullopt, .text = {}, .truncated = true}; }

Result<std::vector<std::uint8_t>> build_reply(std::span<const std::uint8_t> question, const OwnReply& reply) {
  const Result<DnsQuestion> parsed = parse_question(question);
  if (!parsed) return tl::unexpected(parsed.error());
  // A plain name: a length byte in front of each label, of which all but the first stand for a dot, and the end byte.
  const std::size_t question_end = kDnsHeaderLength + parsed->name.text().size() + 2 + 4;
  const bool has_opt = read_u16(question, 10) != 0;

  const unsigned kept = read_u16(question, 2) & (kFlagRecursionDesired | kFlagCheckingDisabled);
  const unsigned own = kFlagResponse | kFlagRecursionAvailable | (reply.truncated ? kFlagTruncated : 0u);
  std::vector<std::uint8_t> out;
  out.reserve(kMessageLimit);
  append_u16(out, parsed->id);
  append_u16(out, own | kept | (reply.rcode & kRcodeMask));
  for (const unsigned count : {1u, 0u, 0u, has_opt ? 1u : 0u}) append_u16(out, count);
  const std::span<const std::uint8_t> entry = question.subspan(kDnsHeaderLength, question_end - kDnsHeaderLength);
  out.insert(out.end(), entry.begin(), entry.end());
  if (has_opt) append_opt(out, read_u16(question, question_end + 7), reply);
  return out;
}

std::optional<std::vector<std::uint8_t>> build_format_error(std::span<const std::uint8_t> message) {
  if (message.size() < kDnsHeaderLength) return std::nullopt;
  const std::uint16_t flags = read_u16(message, 2);
  if ((flags & kFlagResponse) != 0) return std::nullopt;
  const unsigned kept = flags & (kOpcodeMask | kFlagRecursionDesired | kFlagCheckingDisabled);
  const unsigned rcode = (flags & kOpcodeMask) != 0 ? kNotImplemented : kFormatError;
  std::vector<std::uint8_t> out;
  append_u16(out, read_u16(message, 0));
  append_u16(out, kFlagResponse | kFlagRecursionAvailable | kept | rcode);
  out.resize(kDnsHeaderLength);
  return out;
}

}  // namespace namewall
