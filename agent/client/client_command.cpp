#include "agent/client/client_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string_view>

#include "agent/signal_free_write.h"

namespace namewall::agent {

void add_socket_option(CLI::App& command, ClientOptions& options) {
  command
      .add_option(
          "--socket", options.socket,
          std::string("The daemon's control socket (default: $NAMEWALL_SOCKET, else ") + kDefaultControlSocket + ")")
      ->type_name("PATH");
}

void add_client_options(CLI::App& command, ClientOptions& options) {
  add_socket_option(command, options);
  command.add_flag("--json", options.json, "Print JSON");
}

std::string workload_target(const std::string& workload, const std::string& rest) {
  return "/v1/workloads/" + percent_encode(workload) + rest;
}

int tell(int exit_code, const std::string& sentence) {
  std::fprintf(stderr, "namewall: %s\n", sentence.c_str());
  return exit_code;
}

int tell(const DaemonError& error) { return tell(error.exit_code, error.sentence); }

Screen find_screen() { return find_screen(STDOUT_FILENO); }

bool print(const std::string& text) {
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t written = write_without_signals(STDOUT_FILENO, rest);
    if (written <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void print_json(const std::string& body) { (void)print(body.ends_with('\n') ? body : body + "\n"); }

}  // namespace namewall::agent
