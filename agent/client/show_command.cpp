// `namewall show WORKLOAD [--policy] [--json]`
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/client/client_command.h"
#include "agent/client/view_reader.h"
#include "agent/client/workload_text.h"
#include "agent/command.h"

namespace namewall::agent {
namespace {

struct Options : ClientOptions {
  std::string workload;
  bool policy = false;
};

int run_show(const Options& options) {
  const Answer<std::string> body = DaemonClient(options.socket).get(workload_target(options.workload));
  if (!body) return tell(body.error());
  const Answer<WorkloadDetail> detail = read_view<WorkloadDetail>(*body);
  if (!detail) return tell(detail.error());
  if (options.policy) {
    (void)print(detail->policy_text);
  } else if (options.json) {
    print_json(*body);
  } else {
    (void)print(workload_text(*detail, find_screen()));
  }
  return kExitOk;
}

}  // namespace

void add_show_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command =
      *app.add_subcommand("show", "Show a workload: its policy, resolvers, grants, refusals and counters");
  add_client_options(command, *options);
  command.add_option("workload", options->workload, "The workload, as `namewall list` names it")->required();
  command.add_flag("--policy", options->policy, "Only its policy, in the canonical form");
  command.callback([options, &exit_code] { exit_code = run_show(*options); });
}

}  // namespace namewall::agent
