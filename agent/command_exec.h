// Becoming another program, and what is said where that fails.
#pragma once

#include <string>
#include <vector>

namespace namewall::agent {

// 126 cannot be executed, 127 not found, as env(1).
struct ExecFailure {
  int exit_code = 0;
  std::string message;
};

// Replaces this process by `arguments[0]`, found by PATH of `environ`; returns only where that failed.
ExecFailure exec_command(const std::vector<std::string>& arguments);

// With the null pointer that exec wants at the end; valid as long as `strings` is.
std::vector<char*> exec_pointers(const std::vector<std::string>& strings);

}  // namespace namewall::agent
