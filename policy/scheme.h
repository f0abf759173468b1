// The schemes of an endpoint: which protocols, and the port when none is written.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "policy/port_set.h"
#include "policy/result.h"

namespace namewall {

struct Scheme {
  std::string_view name;
  std::span<const Protocol> protocols;
  std::optional<Port> default_port;

  bool takes_ports() const { return protocols.front() != Protocol::kIcmp; }
};

// Without case. Error: the list of schemes, and the nearest one.
Result<Scheme> find_scheme(std::string_view name);

}  // namespace namewall
