// What NFT_MSG_NEWSET says of a set.
#pragma once

#include <string_view>

#include "nft/message_writer.h"
#include "nft/table_shape.h"

namespace namewall::nft {

void put_set(MessageWriter& writer, const SetShape& shape, std::string_view table);

}  // namespace namewall::nft
