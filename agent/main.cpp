// The command `namewall`. Misuse of the command line is namewall's own failure (125), so that the codes below it are
// the command's in `run`.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cgroup_tree.h"
#include "agent/command.h"

namespace {

// A descriptor that namewall opens must not become 0, 1 or 2 because the caller closed it. Close-on-exec: a command
// finds it closed, as the caller wanted.
void fill_closed_standard_descriptors() {
  for (int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC); fd >= 0; fd = ::open("/dev/null", O_RDWR | O_CLOEXEC)) {
    if (fd <= STDERR_FILENO) continue;
    ::close(fd);
    return;
  }
}

// What a killed run left, whichever command comes next. Without root or cgroup2 there is nothing to remove.
void remove_what_killed_runs_left() {
  if (::geteuid() != 0) return;
  if (const auto own = namewall::agent::find_own_cgroup_directory()) (void)namewall::agent::remove_leftovers(*own);
}

struct Split {
  std::vector<char*> before;
  std::vector<std::string> command;
};

// `namewall run OPTIONS -- CMD`, `namewall restrict OPTIONS -- CMD`; other subcommands have no command.
Split split_at_dashes(int argc, char** argv) {
  char** const end = argv + argc;
  const std::string_view subcommand = argc > 1 ? argv[1] : "";
  const bool has_command = subcommand == "run" || subcommand == "restrict";
  char** const dashes = has_command ? std::find(argv, end, std::string_view("--")) : end;
  Split split{{argv, dashes}, {}};
  if (dashes != end) split.command.assign(dashes + 1, end);
  return split;
}

struct Command {
  std::string_view name;
  void (*add)(CLI::App&, int&);
};

constexpr Command kCommands[] = {
    {"check", namewall::agent::add_check_command},       {"explain", namewall::agent::add_explain_command},
    {"doctor", namewall::agent::add_doctor_command},     {"import", namewall::agent::add_import_command},
    {"status", namewall::agent::add_status_command},     {"list", namewall::agent::add_list_command},
    {"show", namewall::agent::add_show_command},         {"sets", namewall::agent::add_sets_command},
    {"events", namewall::agent::add_events_command},     {"why", namewall::agent::add_why_command},
    {"top", namewall::agent::add_top_command},           {"test", namewall::agent::add_test_command},
    {"reload", namewall::agent::add_reload_command},     {"arm", namewall::agent::add_arm_command},
    {"teardown", namewall::agent::add_teardown_command}, {"unit", namewall::agent::add_unit_command},
};

// The one that is asked for alone, where there is such a one: describing all of them takes longer than most of them
// run.
void add_commands(CLI::App& app, std::string_view asked, int& exit_code,
                  const std::vector<std::string>& behind_dashes) {
  const bool is_one = asked == "run" || asked == "restrict" ||
                      std::ranges::find(kCommands, asked, &Command::name) != std::end(kCommands);
  if (!is_one || asked == "run") namewall::agent::add_run_command(app, exit_code, behind_dashes);
  if (!is_one || asked == "restrict") namewall::agent::add_restrict_command(app, exit_code, behind_dashes);
  for (const Command& command : kCommands) {
    if (!is_one || asked == command.name) command.add(app, exit_code);
  }
}

}  // namespace

int main(int argc, char** argv) {
  fill_closed_standard_descriptors();
  remove_what_killed_runs_left();
  int exit_code = namewall::agent::kExitOk;
  const auto [before, command] = split_at_dashes(argc, argv);
  CLI::App app{"Keeps programs to the network names that their policy lists", "namewall"};
  app.set_version_flag("--version", "namewall " NAMEWALL_VERSION);
  app.require_subcommand(1);
  add_commands(app, argc > 1 ? argv[1] : "", exit_code, command);
  try {
    app.parse(static_cast<int>(before.size()), before.data());
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ParseError& error) {
    std::string words = "namewall";
    for (auto asked = app.get_subcommands(); !asked.empty(); asked = asked.front()->get_subcommands()) {
      words += " " + asked.front()->get_name();
    }
    std::fprintf(stderr, "namewall: %s (see %s --help)\n", error.what(), words.c_str());
    return namewall::agent::kExitOwnFailure;
  }
  return exit_code;
}
