// `namewall reload [--json]`: exit 1 where a file is broken; what was in force of it stays.
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/client/client_command.h"
#include "agent/client/outcome_text.h"
#include "agent/client/view_reader.h"
#include "agent/command.h"

namespace namewall::agent {
namespace {

int run_reload(const ClientOptions& options) {
  const Answer<std::string> body = DaemonClient(options.socket).send("POST", "/v1/reload", "");
  if (!body) return tell(body.error());
  const Answer<ReloadView> reload = read_view<ReloadView>(*body);
  if (!reload) return tell(reload.error());
  if (options.json) {
    print_json(*body);
  } else {
    (void)print(reload_text(*reload, find_screen()));
  }
  return reload->ok ? kExitOk : kExitInputErrors;
}

}  // namespace

void add_reload_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ClientOptions>();
  CLI::App& command = *app.add_subcommand("reload", "Have the daemon read its policies again");
  command.footer("Exit codes: 0, 1 where a file is broken (its policy before stays in force).");
  add_client_options(command, *options);
  command.callback([options, &exit_code] { exit_code = run_reload(*options); });
}

}  // namespace namewall::agent
