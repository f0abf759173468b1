// `namewall list [--rules | --names] [--json]`
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/client/client_command.h"
#include "agent/client/list_text.h"
#include "agent/client/view_reader.h"
#include "agent/command.h"

namespace namewall::agent {
namespace {

struct Options : ClientOptions {
  bool rules = false;
  bool names = false;
};

// One workload speaks for all that have its policy. As JSON: an array of their details.
int list_rules(const DaemonClient& daemon, const std::vector<WorkloadView>& workloads, bool as_json) {
  const Screen screen = find_screen();
  std::string json, text;
  for (const PolicyGroup& group : group_by_policy(workloads)) {
    const Answer<std::string> body = daemon.get(workload_target(group.workloads.front()));
    if (!body) {
      if (body.error().exit_code == kExitNoSuchObject) continue;  // it went away since it was listed
      return tell(body.error());
    }
    const Answer<WorkloadDetail> detail = read_view<WorkloadDetail>(*body);
    if (!detail) return tell(detail.error());
    json += (json.empty() ? "" : ",") + *body;
    text += (text.empty() ? "" : "\n") + rules_text(group, *detail, screen);
  }
  if (as_json) {
    print_json("[" + json + "]");
  } else {
    (void)print(text.empty() ? list_text({}, screen) : text);
  }
  return kExitOk;
}

int run_list(const Options& options) {
  const DaemonClient daemon(options.socket);
  const Answer<std::string> body = daemon.get("/v1/workloads");
  if (!body) return tell(body.error());
  const auto workloads = read_view<std::vector<WorkloadView>>(*body);
  if (!workloads) return tell(workloads.error());
  if (options.rules) return list_rules(daemon, *workloads, options.json);
  if (options.names) {
    (void)print(names_text(*workloads));
  } else if (options.json) {
    print_json(*body);
  } else {
    (void)print(list_text(*workloads, find_screen()));
  }
  return kExitOk;
}

}  // namespace

void add_list_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("list", "List the workloads, with where their policies come from");
  add_client_options(command, *options);
  CLI::Option* rules = command.add_flag("--rules", options->rules,
                                        "List each policy's rules with file:line, and those that decide nothing");
  command.add_flag("--names", options->names, "Only the names, one a line")->excludes(rules);
  command.callback([options, &exit_code] { exit_code = run_list(*options); });
}

}  // namespace namewall::agent
