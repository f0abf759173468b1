#include "agent/host/proof_answer.h"

#include <algorithm>
#include <array>

#include "policy/dns_message.h"
#include "policy/dns_reply.h"

namespace namewall::agent {
namespace {

constexpr std::uint16_t kId = 0x4e57;
constexpr std::size_t kHeader = 12;
// The root, type OPT, 1,232 bytes, no extended flags, no options.
constexpr std::array<std::uint8_t, 11> kOpt = {0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};

unsigned number_at(std::span<const std::uint8_t> bytes, std::size_t at) { return bytes[at] << 8 | bytes[at + 1]; }

}  // namespace

std::vector<std::uint8_t> build_proof_question(const std::string& name) {
  auto question = build_question({kId, DomainName::from_normal(name), kTypeA, 1});
  question.insert(question.end(), kOpt.begin(), kOpt.end());
  question[11] = 1;  // one additional record
  return question;
}

bool is_own_refusal(std::span<const std::uint8_t> question, std::span<const std::uint8_t> answer) {
  if (question.size() < kHeader + kOpt.size()) return false;
  const std::size_t opt = question.size() - kOpt.size();
  constexpr std::size_t kErrorEnd = 6;  // option code, length, INFO-CODE
  if (answer.size() < opt + kOpt.size() + kErrorEnd) return false;
  const auto same = [&](std::size_t from, std::size_t to) {
    return std::equal(question.begin() + static_cast<std::ptrdiff_t>(from),
                      question.begin() + static_cast<std::ptrdiff_t>(to),
                      answer.begin() + static_cast<std::ptrdiff_t>(from));
  };
  constexpr unsigned kOptType = 41, kErrorOption = 15;
  const bool is_response = (answer[2] & 0x80) != 0;
  const bool has_only_opt =
      number_at(answer, 4) == 1 && number_at(answer, 6) == 0 && number_at(answer, 8) == 0 && number_at(answer, 10) == 1;
  if (!same(0, 2) || !is_response || !has_only_opt || !same(kHeader, opt)) return false;
  if (answer[opt] != 0 || number_at(answer, opt + 1) != kOptType ||
      number_at(answer, opt + kOpt.size()) != kErrorOption) {
    return false;
  }
  const auto error = static_cast<ExtendedError>(number_at(answer, opt + kOpt.size() + 4));
  return error == ExtendedError::kBlocked || error == ExtendedError::kFiltered || error == ExtendedError::kProhibited;
}

}  // namespace namewall::agent
