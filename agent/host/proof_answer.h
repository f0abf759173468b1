// The question of a live proof, and the answer that only namewall gives to it: where the DNS proxy refuses, the send
// succeeds. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace namewall::agent {

// With an OPT, so that the answer can have an Extended DNS Error.
std::vector<std::uint8_t> build_proof_question(const std::string& name);

// A refusal as build_reply() makes it (policy/dns_reply.h): no record but an OPT whose error says Blocked, Filtered or
// Prohibited. A resolver's own NXDOMAIN has an SOA, or no such error.
bool is_own_refusal(std::span<const std::uint8_t> question, std::span<const std::uint8_t> answer);

}  // namespace namewall::agent
