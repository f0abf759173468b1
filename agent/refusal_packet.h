// The packet that answers a refused question, built from the packet that carried the question. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace namewall::agent {

// The whole IP packet (IPv4 or IPv6, UDP, checksums) that answers `question_packet` with the rcode of `refuse_with` (no
// SOA, so that nobody caches it) and, when the question had an OPT, an Extended DNS Error (RFC 8914: 15 Blocked for
// nxdomain, 18 Prohibited for refused, 17 Filtered for nodata) with `text`, cut so that the message keeps to 512 bytes.
// nullopt: the packet is not one whole, well-formed question over UDP. Its UDP checksum is not looked at: at cgroup
// egress it may be left for the network card to finish.
std::optional<std::vector<std::uint8_t>> build_refusal_answer(std::span<const std::uint8_t> question_packet,
                                                              RefuseWith refuse_with, std::string_view text);

}  // namespace namewall::agent
