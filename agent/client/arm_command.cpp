// `namewall arm --cgroup PATH | --unit UNIT | --pid N | --self --policy FILE [--name N] [--allow-partial]`: exit 0 =
// the kernel enforces it. By the daemon where one answers, else directly.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <thread>

#include "agent/client/cgroup_choice.h"
#include "agent/client/client_command.h"
#include "agent/client/direct_arming.h"
#include "agent/client/outcome_text.h"
#include "agent/client/request_json.h"
#include "agent/client/view_reader.h"
#include "agent/client/view_writer.h"
#include "agent/command.h"
#include "agent/policy_sources.h"
#include "agent/run_policy.h"
#include "policy/canonical_form.h"

namespace namewall::agent {
namespace {

// At boot services arm themselves side by side, and while the daemon starts: each holds the pins for a moment.
constexpr std::chrono::milliseconds kPause{100};
constexpr int kTries = 150;

struct Options : ClientOptions {
  CgroupChoice choice;
  PinOptions pins;
  std::string policy, host, name;
  bool allow_partial = false;
};

struct Arming {
  ChosenCgroup cgroup;
  std::string name;
  std::string policy_text;  // as written
  RunPolicy policy;
};

Answer<Arming> prepare(const Options& options) {
  Arming arming;
  if (options.policy == "-") {
    return tl::unexpected<DaemonError>(DaemonError{kExitInputErrors, "arm reads its policy from a file"});
  }
  Result<ChosenCgroup> cgroup = find_cgroup(options.choice);
  if (!cgroup) return to_daemon_error(cgroup.error());
  arming.cgroup = std::move(*cgroup);
  Result<std::string> text = read_input(options.policy);
  if (!text) return to_daemon_error(text.error());
  arming.policy_text = std::move(*text);
  RunPolicySources sources;
  sources.policy_file = options.policy;
  sources.host_file = options.host;
  LoadedRunPolicy loaded = load_run_policy(sources);
  for (std::size_t i = 0; i + 1 < loaded.messages.size(); ++i) (void)tell(kExitOk, loaded.messages[i]);
  if (!loaded.loaded) return tl::unexpected<DaemonError>(DaemonError{kExitInputErrors, loaded.messages.back()});
  if (!loaded.messages.empty()) (void)tell(kExitOk, loaded.messages.back());
  arming.policy = std::move(*loaded.loaded);
  const bool is_service = options.choice.self || !options.choice.unit.empty();
  arming.name = !options.name.empty() ? options.name
                : is_service          ? workload_name_of(arming.cgroup.path)
                                      : arming.policy.policy.name;
  return arming;
}

// The daemon answers no process inside a workload more than what that workload is: a service whose cgroup outlived its
// last run is held already, and that is what it asked for.
bool is_held_already(const DaemonClient& daemon, const Arming& arming) {
  const Answer<std::string> body = daemon.get("/v1/self");
  if (!body) return false;
  const Answer<SelfView> self = read_view<SelfView>(*body);
  return self && self->confined && self->policy_text == to_canonical_toml(arming.policy.policy);
}

Answer<ChangeView> arm_by_daemon(const Options& options, const DaemonClient& daemon, const Arming& arming) {
  const Answer<std::string> body = daemon.send(
      "PUT", workload_target(arming.name), arm_request(arming.cgroup.path, arming.policy_text, options.allow_partial));
  if (body) return read_view<ChangeView>(*body);
  if (options.choice.self && body.error().exit_code == kExitNotPermitted && is_held_already(daemon, arming)) {
    ChangeView unchanged;
    unchanged.workload = arming.name;
    unchanged.cgroup = arming.cgroup.path;
    unchanged.cgroup_id = arming.cgroup.id;
    unchanged.state = "enforcing";
    return unchanged;
  }
  return tl::unexpected(body.error());
}

Answer<ChangeView> arm(const Options& options, const Arming& arming) {
  const DaemonClient daemon(options.socket);
  for (int attempt = 1;; ++attempt) {
    const Answer<ChangeView> asked = arm_by_daemon(options, daemon, arming);
    if (asked || !asked.error().is_no_daemon()) return asked;
    const Result<ChangeView> armed = arm_directly(options.pins, arming.cgroup, arming.policy.image, arming.name);
    if (armed) return *armed;
    if (armed.error().kind != ErrorKind::kConflict || attempt == kTries) return to_daemon_error(armed.error());
    std::this_thread::sleep_for(kPause);
  }
}

int run_arm(const Options& options) {
  const Answer<Arming> arming = prepare(options);
  if (!arming) return tell(arming.error());
  const Answer<ChangeView> change = arm(options, *arming);
  if (!change) return tell(change.error());
  if (options.json) {
    print_json(view_json(*change));
  } else {
    (void)print(armed_text(*change, find_screen()));
  }
  return kExitOk;
}

}  // namespace

void add_arm_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("arm", "Hold a cgroup to a policy, with or without a daemon");
  command.footer("Exit code 0: the kernel enforces the policy. `namewall teardown` lifts it.");
  add_client_options(command, *options);
  CLI::Option_group& which = *command.add_option_group("Which cgroup");
  which.add_option("--cgroup", options->choice.path, "This one, a path in the hierarchy or a directory")
      ->type_name("PATH");
  which.add_option("--unit", options->choice.unit, "That of a running service")->type_name("UNIT");
  which.add_option("--pid", options->choice.pid, "That of a process")->check(CLI::PositiveNumber)->type_name("PID");
  which.add_flag("--self", options->choice.self, "The caller's own, for ExecStartPre=");
  which.require_option(1);
  command.add_option("--policy", options->policy, "The policy, TOML or JSON")->required()->type_name("FILE");
  command.add_option("--name", options->name, "The workload's name (default: the service's, else the policy's)");
  command.add_flag("--allow-partial", options->allow_partial,
                   "Arm it also where something can act for it from outside");
  command
      .add_option("--host", options->host,
                  std::string("Without a daemon: the host's policy (default: ") + kHostPolicyPath + ")")
      ->type_name("FILE");
  command.add_option("--pin-directory", options->pins.directory, "Without a daemon: where it finds the pins")
      ->type_name("DIR")
      ->capture_default_str();
  command.add_option("--user", options->pins.owner, "Without a daemon: who owns the pins")
      ->type_name("USER|UID:GID")
      ->capture_default_str();
  command.callback([options, &exit_code] { exit_code = run_arm(*options); });
}

}  // namespace namewall::agent
