// Who else reads or sets bits 16 to 31 of packets' marks in this network namespace: there egress writes who asks the
// DNS proxy, on packets to the proxy and on no others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/doctor_report.h"

namespace namewall::agent {

// The rules of `nft -j list ruleset` that do, each as "ip mangle output, handle 4"; nullopt: not such a text.
std::optional<std::vector<std::string>> find_nft_mark_rules(std::string_view ruleset_json);

// ip rules by netlink; nft's if its program is here. None is a fault: a packet to the proxy leaves by loopback.
std::vector<DoctorCheck> check_marks();

}  // namespace namewall::agent
