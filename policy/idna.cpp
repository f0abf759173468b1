#include "policy/idna.h"

#include <idn2.h>

#include <memory>

namespace namewall {
namespace {

constexpr std::size_t kMaxInput = 1024;  // 251 ASCII characters need fewer UTF-8 bytes than this

struct Idn2Free {
  void operator()(std::uint8_t* text) const { idn2_free(text); }
};

}  // namespace

Result<std::string> idna_to_ascii(std::string_view utf8) {
  if (utf8.size() > kMaxInput) return fail(ErrorKind::kInvalid, "the name is too long");
  // libidn2 reads a C string.
  if (utf8.find('\0') != std::string_view::npos) return fail(ErrorKind::kInvalid, "a zero byte in the name");
  const std::string input(utf8);
  std::uint8_t* output = nullptr;
  const int status = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(input.c_str()), &output,
                                    IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
  const std::unique_ptr<std::uint8_t, Idn2Free> owner(output);
  if (status != IDN2_OK) return fail(ErrorKind::kInvalid, idn2_strerror(status));
  return std::string(reinterpret_cast<const char*>(output));
}

}  // namespace namewall
