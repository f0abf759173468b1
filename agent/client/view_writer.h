// Views as JSON, for what was done without a daemon. Pure.
#pragma once

#include <string>

#include "agent/host/host_view.h"

namespace namewall::agent {

std::string view_json(const ChangeView& change);

}  // namespace namewall::agent
