// `doctor WORKLOAD`: what acts for a workload from outside, or lies outside what the kernel can hold.
#pragma once

#include <string>

#include "agent/client/client_command.h"

namespace namewall::agent {

// Prints it; kExitNotEnforcing where the workload is not, or only partly, held.
int ask_doctor(const ClientOptions& options, const std::string& workload);

}  // namespace namewall::agent
