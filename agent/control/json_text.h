// The views as JSON text: one line of ASCII, whatever bytes a workload chose for its names.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace namewall::agent {

// Bytes that are no UTF-8 become U+FFFD.
inline std::string json_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

}  // namespace namewall::agent
