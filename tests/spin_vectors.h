// Vectors of Spin's allowed_outbound_hosts: an object with `vectors`, entries {id, kind, ...} of the kinds parse_ok,
// parse_error, allows, denies, list_ok, list_error, ip_blocked, ip_not_blocked, socket_allows and socket_denies. They
// are held against Spin's own meaning (spin_list.h), not against what namewall makes of it.
//
// An entry whose `origin` says "(superseded)" records what an older Spin said: where `main` says otherwise, that is
// printed as a note.
#pragma once

#include "tests/vector_reader.h"

namespace namewall {

bool are_spin_vectors(const nlohmann::json& file);
Result<VectorOutcome> run_spin_vectors(const nlohmann::json& file);

}  // namespace namewall
