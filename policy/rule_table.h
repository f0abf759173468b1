// A rule written as a table: { host = "db.example", service = "postgresql", protocol = "tcp", private = true }.
#pragma once

#include <string>
#include <vector>

#include "policy/config_reader.h"
#include "policy/endpoint.h"
#include "policy/load_context.h"

namespace namewall {

// The endpoints as strings, which parse_endpoint reads: one, or two where a service has other ports for TCP than for
// UDP. Empty: the table has mistakes, all reported.
//
// `service`: an IANA name, as `context` has them. Without `protocol` a service or port is that of TCP, as everywhere in
// this language, and of UDP only where the registry has no other. "*": both, each with its own port. SRV is not
// followed.
std::vector<std::string> read_rule_table(ConfigReader& config, const ConfigNode& table, EndpointUse use,
                                         const LoadContext& context);

}  // namespace namewall
