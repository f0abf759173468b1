// `namewall restrict --allow ENDPOINT ... -- CMD`: this process gives up reach, and becomes CMD. Needs no root, and a
// daemon. Speaks through libnamewall, as any other program would.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/client/client_command.h"
#include "agent/command.h"
#include "agent/command_exec.h"
#include "libnamewall/namewall.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

struct Options : ClientOptions {
  std::vector<std::string> allow;
  std::string label;
  bool allow_nothing = false, cooperative = false, quiet = false;
  std::vector<std::string> command;
};

// What the caller can do about it; "": the sentence says all.
std::string_view advice_for(int result) {
  switch (result) {
    case NAMEWALL_NO_DAEMON:
      return "; start it, or hold the command as root without it: namewall run";
    case NAMEWALL_DELEGATED:
      return "; --cooperative gives up here what would let it leave";
    case NAMEWALL_DESCRIPTORS:
      return "; it is standard input, output or error";
    default:
      return "";
  }
}

void note(const Options& options, const std::string& sentence) {
  if (!options.quiet) (void)tell(kExitOk, sentence);
}

void note_lines(const Options& options, const std::string& before, std::string_view lines) {
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n');
    note(options, before + escape_for_display(std::string(lines.substr(0, end))));
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
  }
}

void tell_outcome(const Options& options, const namewall_outcome& outcome) {
  note_lines(options, "", outcome.without_effect);
  note_lines(options, std::string(outcome.state) + ": ", outcome.why);
  if (outcome.kept_sockets < 0) {
    note(options, "whether standard input, output and error are internet sockets is not known: /proc is not there");
  } else if (outcome.kept_sockets > 0) {
    note(options, "standard input, output or error: " + std::to_string(outcome.kept_sockets) +
                      " internet socket(s), which keep their old reach");
  }
}

int run_restrict(const Options& options) {
  // Sockets among them would keep their old reach, and cgroup files lead out of it.
  if (::close_range(STDERR_FILENO + 1, ~0u, 0) != 0) {
    return tell(kExitOwnFailure, "cannot close the descriptors above 2: " + std::string(std::strerror(errno)));
  }
  std::vector<const char*> allow;
  for (const std::string& endpoint : options.allow) allow.push_back(endpoint.c_str());
  const std::string socket_path = DaemonClient(options.socket).socket_path();
  namewall_request request = NAMEWALL_REQUEST_INIT;
  request.flags = options.cooperative ? NAMEWALL_COOPERATIVE : 0;
  request.allow = allow.data();
  request.allow_count = allow.size();
  request.label = options.label.empty() ? nullptr : options.label.c_str();
  request.socket_path = socket_path.c_str();
  namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  const int result = namewall_restrict_self(&request, &outcome);
  if (result != NAMEWALL_OK) {
    return tell(kExitOwnFailure, escape_for_display(outcome.sentence) + std::string(advice_for(result)));
  }
  tell_outcome(options, outcome);
  const ExecFailure failure = exec_command(options.command);
  return tell(failure.exit_code, failure.message);
}

}  // namespace

void add_restrict_command(CLI::App& app, int& exit_code, std::vector<std::string> command) {
  auto options = std::make_shared<Options>();
  options->command = std::move(command);
  CLI::App& restrict = *app.add_subcommand(
      "restrict", "namewall restrict [OPTIONS] -- CMD [ARGS...]: run a command with less reach than the caller has");
  restrict.footer(
      "Needs no root, and a running namewalld. It can only narrow. Descriptors above 2 are closed.\n"
      "Exit codes: the command's own; 125 namewall failed, 126 the command cannot be executed, 127 it was not found.\n"
      "docs/restrict.md says what it holds and what not.");
  restrict.add_option("--allow", options->allow, "What may still be reached, where it was before; repeatable")
      ->type_name("ENDPOINT")
      ->allow_extra_args(false);
  restrict.add_flag("--allow-nothing", options->allow_nothing, "Nothing may be reached any more")->excludes("--allow");
  restrict.add_flag(
      "--cooperative", options->cooperative,
      "Give up, for the command too, what would let it leave: where its cgroup was delegated to this user");
  restrict.add_option("--label", options->label, "A word for people, shown with the workload");
  restrict.add_flag("--quiet", options->quiet, "Say nothing but errors");
  add_socket_option(restrict, *options);
  restrict.callback([options, &exit_code] {
    if (options->command.empty()) {
      throw CLI::ValidationError("restrict needs a command behind --: namewall restrict [OPTIONS] -- CMD");
    }
    if (options->allow.empty() && !options->allow_nothing) {
      throw CLI::ValidationError("restrict needs --allow ENDPOINT, or --allow-nothing");
    }
    exit_code = run_restrict(*options);
  });
}

}  // namespace namewall::agent
