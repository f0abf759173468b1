#include "nft/element.h"

namespace namewall::nft {}  // namespace namewall::nft
