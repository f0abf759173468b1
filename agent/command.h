// The subcommands of `namewall`. Each registers itself with the parser; its callback sets `exit_code`.
// Exit codes, the same for all of them: the list below. `run` and `restrict` otherwise end with the
// command's own: see run_command.cpp.
#pragma once

#include <string>
#include <vector>

#include "policy/result.h"

namespace CLI {
class App;
}

namespace namewall::agent {

inline constexpr int kExitOk = 0;
inline constexpr int kExitInputErrors = 1;
inline constexpr int kExitRefused = 3;        // explain, why: the answer is no
inline constexpr int kExitWidens = 4;         // check --diff, which asks no daemon: the newer policy lets more through
inline constexpr int kExitNoDaemon = 4;       // nothing answers at the control socket
inline constexpr int kExitNotPermitted = 5;   // the daemon, or the kernel, wants another user or capability
inline constexpr int kExitNoSuchObject = 6;   // no workload, policy or cgroup of that name
inline constexpr int kExitConflict = 7;       // in other use, in the wrong state, of another version, or only partial
inline constexpr int kExitLimit = 8;          // a bound is reached
inline constexpr int kExitUnsupported = 9;    // this kernel or host cannot do it
inline constexpr int kExitNotEnforcing = 10;  // status, test, sets: something is not held as it should be
inline constexpr int kExitStopOnRefusal = 123;
inline constexpr int kExitOwnFailure = 125;
inline constexpr int kExitCannotExecute = 126;
inline constexpr int kExitNotFound = 127;

int exit_code_of(ErrorKind kind);  // kInvalid: kExitInputErrors; kSystem: kExitOwnFailure

// `command`: what stood behind "--", untouched by the parser, which takes "[a,b]" apart. The parser gets the rest.
void add_run_command(CLI::App& app, int& exit_code, std::vector<std::string> command);
void add_restrict_command(CLI::App& app, int& exit_code, std::vector<std::string> command);
void add_check_command(CLI::App& app, int& exit_code);
void add_explain_command(CLI::App& app, int& exit_code);
void add_doctor_command(CLI::App& app, int& exit_code);
void add_import_command(CLI::App& app, int& exit_code);

// Those that ask the daemon (client/).
void add_status_command(CLI::App& app, int& exit_code);
void add_list_command(CLI::App& app, int& exit_code);
void add_show_command(CLI::App& app, int& exit_code);
void add_events_command(CLI::App& app, int& exit_code);
void add_why_command(CLI::App& app, int& exit_code);
void add_sets_command(CLI::App& app, int& exit_code);
void add_reload_command(CLI::App& app, int& exit_code);
void add_top_command(CLI::App& app, int& exit_code);
void add_test_command(CLI::App& app, int& exit_code);
void add_arm_command(CLI::App& app, int& exit_code);
void add_teardown_command(CLI::App& app, int& exit_code);
void add_unit_command(CLI::App& app, int& exit_code);

}  // namespace namewall::agent
