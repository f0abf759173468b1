// Elements in what the kernel answers, and requests for them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "nft/element.h"

struct nlmsghdr;

namespace namewall::nft {

// NFT_MSG_GETSETELEM: of these elements of one set, which must fit into one list, and of all of a set (to be dumped).
Bytes get_elements_request(std::span<const Element> elements, std::string_view table);
Bytes get_elements_request(SetId set, std::string_view table);

// The elements of an NFT_MSG_NEWSETELEM. What does not read as one of `set` (foreign keys, no key) is left out. The
// Element is only for the call: its buffers are used again.
void each_element(const nlmsghdr& message, SetId set, const std::function<void(const Element&)>& each);

}  // namespace namewall::nft
