#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "agent/command.h"
#include "agent/policy_sources.h"
#include "agent/run_session.h"

namespace namewall::agent {
namespace {

struct Arguments {
  RunOptions options;
  std::vector<std::string> keep;
  std::string backend;
};

}  // namespace

void add_run_command(CLI::App& app, int& exit_code, std::vector<std::string> command) {
  auto arguments = std::make_shared<Arguments>();
  RunOptions& options = arguments->options;
  options.command = std::move(command);
  CLI::App& run = *app.add_subcommand(
      "run", "namewall run [OPTIONS] -- CMD [ARGS...]: run a command that reaches only what its policy names");
  run.footer(
      "Exit codes: the command's own; 123 stopped on a refusal, 125 namewall failed, 126 the command cannot be "
      "executed,\n"
      "127 it was not found. A command that dies by a signal ends namewall by the same one.\n"
      "What is closed around the command, and what breaks by it: docs/run.md.");

  CLI::Option* policy =
      run.add_option("--policy", options.policy.policy_file, "The policy, TOML or JSON, `-` for standard input")
          ->type_name("FILE");
  run.add_option("--allow", options.policy.allow, "What may be reached: [scheme://]host[:ports][?private]; repeatable")
      ->type_name("ENDPOINT")
      ->allow_extra_args(false)
      ->excludes(policy);
  run.add_option("--deny", options.policy.deny, "What may not, whatever is allowed; repeatable")
      ->type_name("ENDPOINT")
      ->allow_extra_args(false)
      ->excludes(policy);
  run.add_option("--host", options.policy.host_file,
                 std::string("The host's policy (default: ") + kHostPolicyPath + ", where it exists)")
      ->type_name("FILE");
  run.add_option("--backend", arguments->backend, "What enforces: bpf or nft (default: as policy and host's policy say)")
      ->type_name("BACKEND")
      ->check(CLI::IsMember({"bpf", "nft"}));
  run.add_flag("--audit", options.policy.audit, "Refuse nothing; report what would be refused");
  run.add_option("--user", options.user, "Run as this user (default: the invoking one, also behind sudo)")
      ->type_name("USER[:GROUP]");
  run.add_option("--keep", arguments->keep, "Leave open for the command: " + list_keep_words())
      ->type_name("WHAT[,WHAT...]")
      ->allow_extra_args(false);
  run.add_option("--events", options.report.events_sink, "Write every event as a line of JSON")->type_name("FILE|fd:N");
  run.add_flag("--quiet", options.report.quiet, "Say nothing but errors");
  run.add_flag("--json", options.report.json, "Write the summary as JSON to stderr, instead of text");
  run.add_flag("--stop-on-refusal", options.stop_on_refusal,
               "End the command at its first refusal, with exit code 123");
  run.add_option("--save", options.report.save_path, "Write the policy, with what would permit the refusals")
      ->type_name("FILE");

  run.callback([arguments, &exit_code] {
    RunOptions& chosen = arguments->options;
    for (const std::string& words : arguments->keep) {
      if (auto added = chosen.keep.add_words(words); !added) throw CLI::ValidationError(added.error().message());
    }
    if (!arguments->backend.empty()) {
      chosen.policy.backend = arguments->backend == "nft" ? Backend::kNft : Backend::kBpf;
    }
    if (chosen.command.empty())
      throw CLI::ValidationError("run needs a command behind --: namewall run [OPTIONS] -- CMD");
    if (chosen.policy.policy_file.empty() && chosen.policy.allow.empty() && !chosen.policy.audit) {
      throw CLI::ValidationError("run needs a policy: --policy FILE, or --allow ENDPOINT");
    }
    chosen.report.policy_source = display_name(chosen.policy.policy_file);
    chosen.report.hold_lines = ::isatty(STDERR_FILENO) == 1;
    exit_code = run_session(chosen);
  });
}

}  // namespace namewall::agent
