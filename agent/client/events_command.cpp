// `namewall events [-f] [--workload W] [--reason R] [--since 10m|SEQ] [--json]`
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/client/client_command.h"
#include "agent/client/event_text.h"
#include "agent/client/view_reader.h"
#include "agent/command.h"

namespace namewall::agent {
namespace {

struct Options : ClientOptions {
  std::string workload, reason, since;
  bool follow = false;
};

std::string target_of(const Options& options) {
  std::string query;
  const auto add = [&query](const char* key, const std::string& value) {
    if (!value.empty()) query += (query.empty() ? "?" : "&") + std::string(key) + "=" + percent_encode(value);
  };
  add("workload", options.workload);
  add("reason", options.reason);
  add("since", options.since);
  add("follow", options.follow ? "1" : "");
  return "/v1/events" + query;
}

int run_events(const Options& options) {
  const Screen screen = find_screen();
  DaemonError unread;
  bool is_read_to_end = true;
  const auto ended = DaemonClient(options.socket).stream(target_of(options), [&](std::string_view line) {
    if (options.json) return is_read_to_end = print(std::string(line) + "\n");
    const Answer<EventView> event = read_view<EventView>(line);
    if (!event) {
      unread = event.error();
      return false;
    }
    return is_read_to_end = print(event_text(*event, screen));
  });
  if (!ended) return tell(ended.error());
  if (!unread.sentence.empty()) return tell(unread);
  if (options.follow && is_read_to_end) return tell(kExitNoDaemon, "the daemon ended the stream of events");
  return kExitOk;
}

}  // namespace

void add_events_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("events", "Print refusals and notices, recent ones and as they happen");
  add_client_options(command, *options);
  command.add_flag("-f,--follow", options->follow, "Go on with those to come");
  command.add_option("--workload", options->workload, "Only of this workload");
  command.add_option("--reason", options->reason, "Only with this reason code, such as name_not_allowed")
      ->type_name("CODE");
  command.add_option("--since", options->since, "Begin that long ago (10m, 1h), or behind this event's number")
      ->type_name("TIME|NUMBER");
  command.callback([options, &exit_code] { exit_code = run_events(*options); });
}

}  // namespace namewall::agent
