#include "agent/host/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cstddef>

namespace namewall::agent {

Result<std::string> sha256_of(std::string_view bytes) {
  std::array<unsigned char, 32> digest;
  std::size_t size = digest.size();
  if (EVP_Q_digest(nullptr, "SHA256", nullptr, bytes.data(), bytes.size(), digest.data(), &size) != 1 ||
      size != digest.size()) {
    return fail(ErrorKind::kSystem, "the crypto library offers no SHA-256");
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

}  // namespace namewall::agent
