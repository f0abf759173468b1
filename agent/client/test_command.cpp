// `namewall test WORKLOAD [--json]`: exit 10 where the workload is not held as it should be.
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/client/client_command.h"
#include "agent/client/outcome_text.h"
#include "agent/client/view_reader.h"
#include "agent/command.h"

namespace namewall::agent {
namespace {

struct Options : ClientOptions {
  std::string workload;
};

int run_test(const Options& options) {
  const Answer<std::string> body =
      DaemonClient(options.socket).send("POST", workload_target(options.workload, "/test"), "");
  if (!body) return tell(body.error());
  const Answer<ProofView> proof = read_view<ProofView>(*body);
  if (!proof) return tell(proof.error());
  if (options.json) {
    print_json(*body);
  } else {
    (void)print(proof_text(*proof, find_screen()));
  }
  return proof->passed ? kExitOk : kExitNotEnforcing;
}

}  // namespace

void add_test_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("test", "Prove now, by trying, that a workload is held");
  command.footer("Exit codes: 0 proved, 10 not.");
  add_client_options(command, *options);
  command.add_option("workload", options->workload, "The workload, as `namewall list` names it")->required();
  command.callback([options, &exit_code] { exit_code = run_test(*options); });
}

}  // namespace namewall::agent
