// Short programs of the host, run for what they print.
#pragma once

#include <string>
#include <vector>

#include "policy/result.h"

namespace namewall::agent {

struct ProgramOutput {
  int exit_code = 0;  // 128 + signal where a signal ended it
  std::string out;    // at most 64 KiB
};

// Found in PATH; standard input and error are /dev/null. kNotFound: there is no such program.
Result<ProgramOutput> run_program(const std::vector<std::string>& arguments);

// sd_booted(3).
bool is_systemd_running();

}  // namespace namewall::agent
