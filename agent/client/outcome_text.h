// What the commands print of the daemon's answers to explain, reload, test, doctor, arm and teardown. Pure; workloads'
// strings come out escaped.
#pragma once

#include <string>

#include "agent/client/screen.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

std::string explain_text(const ExplainView& explanation, const Screen& screen);
std::string reload_text(const ReloadView& reload, const Screen& screen);
std::string proof_text(const ProofView& proof, const Screen& screen);
std::string armed_text(const ChangeView& change, const Screen& screen);
// The state of a workload and every reason for it.
std::string diagnosis_text(const WorkloadView& workload, const Screen& screen);
std::string lifted_text(const ChangeView& change, const Screen& screen);

}  // namespace namewall::agent
