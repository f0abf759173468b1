#include "policy/reason.h"

#include <cstddef>

namespace namewall {
namespace {

struct Entry {
  std::string_view code;
  std::string_view sentence;
};

constexpr Entry kEntries[] = {
#define NW_REASON_ENTRY(symbol, code, sentence) {code, sentence},
    NW_REASONS(NW_REASON_ENTRY)
#undef NW_REASON_ENTRY
};

}  // namespace

std::string_view code_of(Reason reason) {
  return reason < NW_REASON_COUNT ? kEntries[reason].code : std::string_view("unknown");
}

std::string_view sentence_of(Reason reason) {
  return reason < NW_REASON_COUNT ? kEntries[reason].sentence : std::string_view("unknown reason");
}

std::optional<Reason> reason_of_code(std::string_view code) {
  for (std::size_t i = 0; i < NW_REASON_COUNT; ++i) {
    if (kEntries[i].code == code) return static_cast<Reason>(i);
  }
  return std::nullopt;
}

}  // namespace namewall
