// What the subcommands that ask the daemon have in common.
#pragma once

#include <string>

#include "agent/client/daemon_client.h"
#include "agent/client/screen.h"

namespace CLI {
class App;
}

namespace namewall::agent {

struct ClientOptions {
  std::string socket;  // "": as DaemonClient
  bool json = false;
};

// --socket and --json.
void add_client_options(CLI::App& command, ClientOptions& options);
// --socket alone.
void add_socket_option(CLI::App& command, ClientOptions& options);

// "/v1/workloads/NAME" with what follows it.
std::string workload_target(const std::string& workload, const std::string& rest = "");

// One sentence on standard error; returns its exit code.
int tell(int exit_code, const std::string& sentence);
int tell(const DaemonError& error);

Screen find_screen();  // of standard output
// To standard output, at once. False: nobody reads it any more.
bool print(const std::string& text);
// The daemon's JSON as it is, with a line end.
void print_json(const std::string& body);

}  // namespace namewall::agent
