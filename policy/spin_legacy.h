// `allowed_http_hosts` of older Spin manifests, as the entries of `allowed_outbound_hosts` that Spin makes of it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall {

inline constexpr std::string_view kSpinAllowAll = "insecure:allow-all";

// `host[:port]`, or a URL of http or https without a path: an entry for each of the two; "self": http://self. Of
// kSpinAllowAll, which stands for every host wherever it is in the list: that, for both, and self.
// Error (kInvalid): what is wrong with it.
Result<std::vector<std::string>> outbound_of_http_host(std::string_view text);

// What a manifest of version 1 without `allowed_outbound_hosts` may reach beside: every database, on every port.
std::span<const std::string_view> spin_version_1_databases();

}  // namespace namewall
