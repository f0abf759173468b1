// Answers of the daemon as values. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "agent/client/daemon_client.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

// For the views of host_view.h and vectors of them. Unknown keys are passed over, absent ones keep their defaults; what
// is no such view is one sentence (kExitOwnFailure).
template <typename View>
Answer<View> read_view(std::string_view json);

}  // namespace namewall::agent
