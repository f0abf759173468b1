// The words of what check_overlap() finds.
#pragma once

#include <string>
#include <vector>

#include "policy/diagnostic.h"
#include "policy/policy.h"

namespace namewall {

// "port 8080", "ports 80,443", "tcp port 22", "every port": `ports` of a rule that has `all`.
std::string port_words(const PortSet& ports, const PortSet& all);
// "are" behind several ports or things, else "is".
std::string verb_for(const std::string& words);
// "host.toml:12"; of arguments "--deny".
std::string place_of(const Origin& origin);
// "host.toml:12 (block_networks)": a rule that something else brought in says what.
std::string place_of(const Rule& rule);
// "a", "a and b", "a, b and 3 more": at most `shown`.
std::string join_some(const std::vector<std::string>& words, std::size_t shown);
std::string in_quotes(const Rule& rule);  // as written

}  // namespace namewall
