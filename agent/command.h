// The subcommands of `namewall`. Each registers itself with the parser; its callback sets `exit_code`.
// Exit codes: 0 done, 1 an input has errors, 3 refused (explain), 125 namewall's own failure; `run`: see run_command.cpp.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace namewall::agent {

inline constexpr int kExitOk = 0;
inline constexpr int kExitInputErrors = 1;
inline constexpr int kExitRefused = 3;
inline constexpr int kExitStopOnRefusal = 123;
inline constexpr int kExitOwnFailure = 125;
inline constexpr int kExitCannotExecute = 126;
inline constexpr int kExitNotFound = 127;

// `command`: what stood behind "--", untouched by the parser, which takes "[a,b]" apart. The parser gets the rest.
void add_run_command(CLI::App& app, int& exit_code, std::vector<std::string> command);
void add_check_command(CLI::App& app, int& exit_code);
void add_explain_command(CLI::App& app, int& exit_code);
void add_doctor_command(CLI::App& app, int& exit_code);

}  // namespace namewall::agent
