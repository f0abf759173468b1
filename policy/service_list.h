// The services of /etc/services (services(5)): IANA names and their ports.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "policy/load_context.h"

namespace namewall {

inline constexpr std::size_t kMaxServices = 65'536;  // of a host; what comes behind them is not read

// Of TCP and UDP alone, sorted by name; an alias is an entry of its own. Lines that are none are left out, as
// getservent leaves them out.
std::vector<Service> parse_service_list(std::string_view text);

// Every entry of this name, whatever its case. `services` is sorted by name.
std::span<const Service> find_services(std::span<const Service> services, std::string_view name);

}  // namespace namewall
