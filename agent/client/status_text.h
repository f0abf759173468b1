// What `status` and `list` print. Pure; workloads' strings come out escaped.
#pragma once

#include <string>
#include <vector>

#include "agent/client/screen.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

// Whether all that should be held is held, and nothing lies outside what the kernel can hold. A workload in audit mode,
// or whose older sockets are being judged, is as it should be.
bool is_all_enforcing(const StatusView& status);

std::string status_text(const StatusView& status, const Screen& screen);

}  // namespace namewall::agent
