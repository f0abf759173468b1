#include "agent/client/view_writer.h"

#include "agent/host/host_json.h"

namespace namewall::agent {

std::string view_json(const ChangeView& change) {
  return nlohmann::json(change).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace namewall::agent
