// What the subcommands that ask the daemon have in common.
#pragma once

#include <functional>
#include <memory>
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

// Adds --socket and --json.
void add_client_options(CLI::App& command, ClientOptions& options);

// One sentence on standard error; its exit code.
int tell(const DaemonError& error);
int tell(int exit_code, const std::string& sentence);

// To standard output. False: nobody reads it any more.
bool print(const std::string& text);
// The daemon's JSON as it is, with a line end.
void print_json(const std::string& body);

// GET `target`, printed as JSON or by `text`; `exit_code` of the view.
template <typename View>
int show_view(const ClientOptions& options, const std::string& target,
              const std::function<std::string(const View&, const Screen&)>& text,
              const std::function<int(const View&)>& exit_code);

}  // namespace namewall::agent
