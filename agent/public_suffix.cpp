#include "agent/public_suffix.h"

#include <libpsl.h>

#include <memory>
#include <string>

namespace namewall::agent {

std::function<bool(std::string_view)> read_public_suffixes() {
  // psl_free() leaves the built-in list alone.
  const std::shared_ptr<psl_ctx_t> list(::psl_latest(nullptr), ::psl_free);
  if (!list) return {};
  return [list](std::string_view name) {
    return ::psl_is_public_suffix2(list.get(), std::string(name).c_str(), PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) == 1;
  };
}

}  // namespace namewall::agent
