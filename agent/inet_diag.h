// Addresses and attributes of sock_diag(7) messages.
#pragma once

#include <linux/types.h>

#include <cstdint>
#include <functional>
#include <span>

#include "policy/address.h"

namespace namewall::agent {

// Of inet_diag_sockid; `family` says how much of the words is used.
Address read_diag_address(int family, const __be32 (&words)[4]);
void write_diag_address(int family, const Address& address, __be32 (&words)[4]);

// Each attribute behind the inet_diag_msg at the start of `payload`, up to the first that does not fit.
void for_each_diag_attribute(std::span<const char> payload,
                             const std::function<void(unsigned type, std::span<const char> value)>& take);

}  // namespace namewall::agent
