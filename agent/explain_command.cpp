// `namewall explain TARGET --policy FILE [--answers FILE] [--host FILE] [--json]`: exit 0 allowed, 3 refused, 1 where
// an input has errors, 125 where one cannot be read. `namewall explain TARGET --workload W [--json]`: the same of a
// workload as it stands, by the daemon.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "agent/client/ask_explain.h"
#include "agent/client/client_command.h"
#include "agent/command.h"
#include "agent/explanation.h"
#include "agent/own_addresses.h"
#include "agent/policy_context.h"
#include "agent/policy_sources.h"

namespace namewall::agent {
namespace {

struct Options : ClientOptions {
  std::string policy;
  std::string workload;
  std::string target;
  std::string answers;
  std::string host;
};

int fail_with(const Error& error) {
  std::cerr << "namewall: " << error.message() << "\n";
  return error.kind == ErrorKind::kInvalid || error.kind == ErrorKind::kLimit ? kExitInputErrors : kExitOwnFailure;
}

// Prints the errors; warnings are for `check`. Returns whether there were none.
bool is_ok(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) {
    if (diagnostic.severity == Diagnostic::Severity::kError) std::cerr << diagnostic.to_string() << "\n";
  }
  return !has_error(diagnostics);
}

Result<std::vector<Address>> read_own_addresses() {
  const Result<OwnAddresses> own = OwnAddresses::open();
  if (!own) return tl::unexpected(own.error());
  return own->read();
}

int run_explain(const Options& options) {
  const Result<ExplainTarget> target = parse_explain_target(options.target);
  if (!target) return fail_with(target.error());
  const auto host = load_host_policy_file(options.host);
  if (!host) return fail_with(host.error());
  const PolicyContext context = PolicyContext::read(host->value);
  const auto policy = load_policy_file(options.policy, context.get());
  if (!policy) return fail_with(policy.error());
  std::optional<AnswerText> answers;
  if (!options.answers.empty()) {
    const Result<std::string> text = read_input(options.answers);
    if (!text) return fail_with(text.error());
    answers = parse_answer_text(*text, display_name(options.answers));
  }
  const bool policy_ok = is_ok(policy->diagnostics);
  const bool host_ok = is_ok(host->diagnostics);
  const bool answers_ok = !answers || is_ok(answers->diagnostics);
  if (!policy_ok || !host_ok || !answers_ok) return kExitInputErrors;

  const Result<ResolvConf> system = read_system_resolv_conf();
  if (!system) return fail_with(system.error());
  const Result<PolicyImage> image = compile_policy(policy->value, host->value, *system);
  if (!image) return fail_with(image.error());
  const Result<std::vector<Address>> own_addresses = read_own_addresses();
  if (!own_addresses) return fail_with(own_addresses.error());

  const Explanation explanation =
      explain({policy->value, host->value, *image, *own_addresses, answers ? &answers->records : nullptr}, *target);
  if (options.json) {
    std::cout << to_json(explanation, *target);
  } else {
    std::cout << target->to_string() << ": " << (explanation.allowed ? "allowed" : "refused") << "\n"
              << to_text(explanation);
  }
  return explanation.allowed ? kExitOk : kExitRefused;
}

}  // namespace

void add_explain_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("explain", "Say whether a policy allows a target, and which rule decides");
  add_client_options(*command, *options);
  command->add_option("target", options->target, "[SCHEME://]NAME-OR-ADDRESS[:PORT]; https where nothing else is said")
      ->required();
  CLI::Option* policy = command->add_option("--policy", options->policy, "The policy file, `-` for standard input");
  CLI::Option* workload =
      command->add_option("--workload", options->workload, "A workload as it stands, asked of the daemon")
          ->excludes(policy);
  command
      ->add_option("--answers", options->answers,
                   "DNS answers to judge by, as `dig +noall +answer` prints them; `-` for standard input")
      ->excludes(workload);
  command->add_option("--host", options->host, "The host policy, instead of " + std::string(kHostPolicyPath))
      ->excludes(workload);
  command->callback([options, &exit_code] {
    if (options->policy.empty() && options->workload.empty()) {
      throw CLI::ValidationError("explain needs a policy: --policy FILE, or --workload WORKLOAD");
    }
    exit_code = options->policy.empty()
                    ? ask_explain(DaemonClient(options->socket), options->workload, options->target, options->json)
                    : run_explain(*options);
  });
}

}  // namespace namewall::agent
