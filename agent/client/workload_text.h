// What `show WORKLOAD` prints. Pure; workloads' strings come out escaped.
#pragma once

#include <string>

#include "agent/client/screen.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

std::string workload_text(const WorkloadDetail& detail, const Screen& screen);

}  // namespace namewall::agent
