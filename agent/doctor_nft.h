// What the nftables backend can do on this kernel, tried in transactions that the kernel takes back.
#pragma once

#include <vector>

#include "agent/doctor_report.h"

namespace namewall::agent {

// All kOptional where missing: BPF does without. The sentences say what namewall does then.
std::vector<DoctorCheck> check_nft();

}  // namespace namewall::agent
