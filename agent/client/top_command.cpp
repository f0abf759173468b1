// `namewall top [--once] [--interval SECONDS] [--json]`: redraws the workloads by lookups and refusals per second until
// q or Ctrl-C; one table where standard output or input is no terminal.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "agent/client/client_command.h"
#include "agent/client/key_watch.h"
#include "agent/client/phrase.h"
#include "agent/client/view_reader.h"
#include "agent/client/workload_rates.h"
#include "agent/command.h"

namespace namewall::agent {
namespace {

using Clock = std::chrono::steady_clock;
constexpr const char* kAlternateScreen = "\x1b[?1049h\x1b[?25l";
constexpr const char* kNormalScreen = "\x1b[?25h\x1b[?1049l";
constexpr const char* kHomeAndClear = "\x1b[H\x1b[2J";

struct Options : ClientOptions {
  bool once = false;
  double interval_s = 2;
};

struct Look {
  std::vector<WorkloadView> workloads;
  Clock::time_point at;
};

Answer<Look> look(const DaemonClient& daemon) {
  const Answer<std::string> body = daemon.get("/v1/workloads");
  if (!body) return tl::unexpected(body.error());
  auto workloads = read_view<std::vector<WorkloadView>>(*body);
  if (!workloads) return tl::unexpected(workloads.error());
  return Look{*std::move(workloads), Clock::now()};
}

std::vector<WorkloadRate> rates_between(const Look& before, const Look& now) {
  return build_rates(before.workloads, now.workloads, std::chrono::duration<double>(now.at - before.at).count());
}

int print_once(const Options& options, const DaemonClient& daemon) {
  const Answer<Look> before = look(daemon);
  if (!before) return tell(before.error());
  std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
  const Answer<Look> now = look(daemon);
  if (!now) return tell(now.error());
  const std::vector<WorkloadRate> rates = rates_between(*before, *now);
  if (options.json) {
    print_json(rates_json(rates));
  } else {
    (void)print(rates_text(rates, 0, find_screen()));
  }
  return kExitOk;
}

// As many workloads as the terminal has lines for, below a title.
std::string page_of(const std::vector<WorkloadRate>& rates) {
  constexpr std::size_t kOtherLines = 4;
  const std::size_t lines = std::max<std::size_t>(terminal_lines(STDOUT_FILENO), kOtherLines + 1);
  return std::string(kHomeAndClear) + "namewall top: " + phrase_count(rates.size(), "workload", "workloads") +
         "; q ends\n\n" + rates_text(rates, lines - kOtherLines, find_screen());
}

int redraw(const Options& options, const DaemonClient& daemon) {
  Answer<Look> before = look(daemon);
  if (!before) return tell(before.error());
  Result<KeyWatch> keys = KeyWatch::open(STDIN_FILENO);
  if (!keys) return tell(to_daemon_error(keys.error()).value());
  const auto interval = std::chrono::milliseconds(static_cast<std::int64_t>(options.interval_s * 1000));
  (void)print(kAlternateScreen);
  std::optional<DaemonError> failure;
  bool goes_on = print(page_of(rates_between(*before, *before)));
  while (goes_on && keys->wait(interval)) {
    Answer<Look> now = look(daemon);
    if (!now) {
      failure = now.error();
      break;
    }
    goes_on = print(page_of(rates_between(*before, *now)));
    before = std::move(now);
  }
  (void)print(kNormalScreen);
  return failure ? tell(*failure) : kExitOk;
}

}  // namespace

void add_top_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("top", "Watch the workloads by lookups and refusals per second");
  command.footer("q or Ctrl-C ends. Without a terminal, as with --once or --json, one table.");
  add_client_options(command, *options);
  command.add_flag("--once", options->once, "One table, then end");
  command.add_option("--interval", options->interval_s, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command.callback([options, &exit_code] {
    const DaemonClient daemon(options->socket);
    const bool is_interactive = ::isatty(STDIN_FILENO) == 1 && find_screen().is_terminal;
    exit_code =
        options->once || options->json || !is_interactive ? print_once(*options, daemon) : redraw(*options, daemon);
  });
}

}  // namespace namewall::agent
