// `namewall status [--json]`: exit 0, 10 where something is not held as it should be.
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/client/client_command.h"
#include "agent/client/status_text.h"
#include "agent/client/view_reader.h"
#include "agent/command.h"

namespace namewall::agent {
namespace {

int run_status(const ClientOptions& options) {
  const Answer<std::string> body = DaemonClient(options.socket).get("/v1/status");
  if (!body) return tell(body.error());
  const Answer<StatusView> status = read_view<StatusView>(*body);
  if (!status) return tell(status.error());
  if (options.json) {
    print_json(*body);
  } else {
    (void)print(status_text(*status, find_screen()));
  }
  return is_all_enforcing(*status) ? kExitOk : kExitNotEnforcing;
}

}  // namespace

void add_status_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ClientOptions>();
  CLI::App& command = *app.add_subcommand("status", "Say whether this host's workloads are really held");
  command.footer("Exit codes: 0 everything is enforced, 10 something is not, 4 no daemon answers.");
  add_client_options(command, *options);
  command.callback([options, &exit_code] { exit_code = run_status(*options); });
}

}  // namespace namewall::agent
