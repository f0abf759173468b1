// `namewall why [WORKLOAD] [TARGET] [--json]`: exit 3 where the answer is a refusal, 0 where the target is allowed or
// nothing was refused. Inside a workload: about that workload alone, the one argument is the target.
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "agent/client/ask_explain.h"
#include "agent/client/client_command.h"
#include "agent/client/event_text.h"
#include "agent/client/outcome_text.h"
#include "agent/client/view_reader.h"
#include "agent/command.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

struct Options : ClientOptions {
  std::string first, second;
};

Answer<std::optional<EventView>> find_last_refusal(const DaemonClient& daemon, const std::string& target) {
  std::optional<EventView> last;
  const Answer<void> ended = daemon.stream(target, [&last](std::string_view line) {
    const Answer<EventView> event = read_view<EventView>(line);
    if (event && (event->kind == "refused" || event->kind == "withheld")) last = *event;
    return true;
  });
  if (!ended) return tl::unexpected(ended.error());
  return last;
}

// `workload` "": the caller's own.
int explain_refusal(const ClientOptions& options, const DaemonClient& daemon, const EventView& last,
                    const std::string& workload) {
  if (!options.json) (void)print(event_text(last, find_screen()));
  const int exit_code = ask_explain(daemon, workload, "", options.json);
  return exit_code == kExitOk ? kExitRefused : exit_code;  // it was refused, whatever holds now
}

int tell_none(const ClientOptions& options, const std::string& whose) {
  if (options.json) {
    print_json("null");
  } else {
    (void)print("Nothing " + whose + " was refused lately.\n");
  }
  return kExitOk;
}

int run_why(const Options& options) {
  const DaemonClient daemon(options.socket);
  if (!options.second.empty()) return ask_explain(daemon, options.first, options.second, options.json);
  const Answer<std::string> self_body = daemon.get("/v1/self");
  if (!self_body) return tell(self_body.error());
  const Answer<SelfView> self = read_view<SelfView>(*self_body);
  if (!self) return tell(self.error());
  if (self->confined) {
    if (!options.first.empty()) return ask_explain(daemon, "", options.first, options.json);
    if (self->refusals.empty()) return tell_none(options, "of this workload");
    return explain_refusal(options, daemon, self->refusals.back(), "");
  }
  const std::string of_workload = options.first.empty() ? "" : "?workload=" + percent_encode(options.first);
  if (!options.first.empty()) {
    const Answer<std::string> exists = daemon.get(workload_target(options.first));
    if (!exists) return tell(exists.error());
  }
  const auto last = find_last_refusal(daemon, "/v1/events" + of_workload);
  if (!last) return tell(last.error());
  if (*last) return explain_refusal(options, daemon, **last, (*last)->workload);
  return tell_none(options, options.first.empty() ? "on this host" : "of " + escape_for_display(options.first));
}

}  // namespace

void add_why_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("why", "Say why something was refused: the last refusal, or a target now");
  command.footer(
      "Without WORKLOAD: inside a workload its own last refusal, elsewhere the newest of this host. Without TARGET: "
      "the\n"
      "workload's last refusal. Inside a workload the one argument is the target. Exit codes: 0 allowed or nothing\n"
      "refused, 3 refused.");
  add_client_options(command, *options);
  command.add_option("workload", options->first, "The workload");
  command.add_option("target", options->second, "[SCHEME://]NAME-OR-ADDRESS[:PORT]; https where nothing else is said");
  command.callback([options, &exit_code] { exit_code = run_why(*options); });
}

}  // namespace namewall::agent
