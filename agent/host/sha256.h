// SHA-256, to tell versions of a text apart.
#pragma once

#include <string>
#include <string_view>

#include "policy/result.h"

namespace namewall::agent {

// 64 hexadecimal digits. kSystem: the crypto library has no SHA-256 to offer.
Result<std::string> sha256_of(std::string_view bytes);

}  // namespace namewall::agent
