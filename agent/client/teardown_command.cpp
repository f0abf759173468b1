// `namewall teardown WORKLOAD | --cgroup PATH | --all --reason TEXT`: the only thing that lifts enforcement. Without a
// daemon, which alone knows the workloads' names, by --cgroup or --all.
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/client/cgroup_choice.h"
#include "agent/client/client_command.h"
#include "agent/client/direct_arming.h"
#include "agent/client/outcome_text.h"
#include "agent/client/request_json.h"
#include "agent/client/view_reader.h"
#include "agent/client/view_writer.h"
#include "agent/command.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

struct Options : ClientOptions {
  std::string workload, cgroup, reason;
  bool all = false;
  PinOptions pins;
};

Answer<ChangeView> lift_by_name(const DaemonClient& daemon, const std::string& workload, const std::string& reason) {
  const Answer<std::string> body = daemon.send("POST", "/v1/teardown", teardown_request(workload, reason));
  if (!body) return tl::unexpected(body.error());
  return read_view<ChangeView>(*body);
}

Answer<ChangeView> lift_cgroup(const Options& options, const DaemonClient& daemon) {
  const Result<ChosenCgroup> cgroup = find_cgroup({options.cgroup, "", 0, false});
  if (!cgroup) return to_daemon_error(cgroup.error());
  const Answer<std::string> body = daemon.get("/v1/workloads");
  if (!body && !body.error().is_no_daemon()) return tl::unexpected(body.error());
  if (!body) {
    const Result<ChangeView> lifted = disarm_directly(options.pins, *cgroup);
    return lifted ? Answer<ChangeView>(*lifted) : to_daemon_error(lifted.error());
  }
  const auto workloads = read_view<std::vector<WorkloadView>>(*body);
  if (!workloads) return tl::unexpected(workloads.error());
  for (const WorkloadView& workload : *workloads) {
    if (workload.cgroup_id == cgroup->id) return lift_by_name(daemon, workload.name, options.reason);
  }
  return tl::unexpected<DaemonError>(
      DaemonError{kExitNoSuchObject, "the cgroup " + escape_for_display(cgroup->path) + " is not armed"});
}

Answer<ChangeView> lift(const Options& options) {
  const DaemonClient daemon(options.socket);
  if (!options.cgroup.empty()) return lift_cgroup(options, daemon);
  Answer<ChangeView> lifted = lift_by_name(daemon, options.workload, options.reason);
  if (lifted || !lifted.error().is_no_daemon()) return lifted;
  if (!options.all) {
    lifted.error().sentence += "; without it nobody knows the workloads' names: say --cgroup PATH, or --all";
    return lifted;
  }
  const Result<ChangeView> all = teardown_directly(options.pins);
  return all ? Answer<ChangeView>(*all) : to_daemon_error(all.error());
}

int run_teardown(const Options& options) {
  const Answer<ChangeView> change = lift(options);
  if (!change) return tell(change.error());
  if (options.json) {
    print_json(view_json(*change));
  } else {
    (void)print(lifted_text(*change, find_screen()));
  }
  return kExitOk;
}

}  // namespace

void add_teardown_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("teardown", "Lift the enforcement of one workload, or of all");
  command.alias("disarm");
  add_client_options(command, *options);
  CLI::Option_group& which = *command.add_option_group("Which workload");
  which.add_option("workload", options->workload, "The workload, as `namewall list` names it");
  which.add_option("--cgroup", options->cgroup, "That of this cgroup, also without a daemon")->type_name("PATH");
  which.add_flag("--all", options->all, "Everything that namewall holds on this host, also without a daemon");
  which.require_option(1);
  command.add_option("--reason", options->reason, "Why, for the record of changes")->required()->type_name("TEXT");
  command.add_option("--pin-directory", options->pins.directory, "Without a daemon: where the pins are")
      ->type_name("DIR")
      ->capture_default_str();
  command.add_option("--user", options->pins.owner, "Without a daemon: who owns the pins")
      ->type_name("USER|UID:GID")
      ->capture_default_str();
  command.callback([options, &exit_code] { exit_code = run_teardown(*options); });
}

}  // namespace namewall::agent
