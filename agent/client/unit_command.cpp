// `namewall unit enable UNIT --policy FILE [--allow-partial] | disable UNIT | list`, with --root DIR for an image that
// is not running.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "agent/client/client_command.h"
#include "agent/client/program_output.h"
#include "agent/client/table.h"
#include "agent/client/unit_drop_in.h"
#include "agent/command.h"
#include "agent/policy_context.h"
#include "agent/policy_sources.h"
#include "agent/text_file.h"
#include "policy/escape.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

constexpr const char* kUnitDirectory = "/etc/systemd/system";
constexpr const char* kInstalledProgram = "/usr/bin/namewall";

struct Options {
  std::string root, unit, policy;
  bool allow_partial = false;
};

std::string unit_directory(const Options& options) { return options.root + kUnitDirectory; }

void say(const std::string& sentence) {
  for (const std::string& line : wrap(sentence, find_screen().width, 2)) (void)print(line + "\n");
}

// What systemd runs at start: an absolute, readable policy without an error.
Result<void> check_policy_file(const Options& options) {
  if (!options.policy.starts_with('/')) {
    return fail(ErrorKind::kInvalid, "the policy " + quote_for_display(options.policy) +
                                         " is not an absolute path, and systemd starts the unit from elsewhere");
  }
  const auto host = load_host_policy_file("");
  const PolicyContext context = PolicyContext::read(host ? host->value : HostPolicy{});
  const auto loaded = load_policy_file(options.root + options.policy, context.get());
  if (!loaded) return tl::unexpected(loaded.error());
  for (const Diagnostic& diagnostic : loaded->diagnostics) {
    if (diagnostic.severity == Diagnostic::Severity::kError) return fail(ErrorKind::kInvalid, diagnostic.to_string());
  }
  return {};
}

// Whole or not at all.
Result<void> write_file(const std::string& path, const std::string& text) {
  const std::string next = path + ".new";
  const FileDescriptor fd(::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return fail_errno(errno, "cannot write " + next);
  const ssize_t written = ::write(fd.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size()) || ::fchmod(fd.get(), 0644) != 0 || ::fsync(fd.get()) != 0 ||
      ::rename(next.c_str(), path.c_str()) != 0) {
    const int why = errno;
    ::unlink(next.c_str());
    return fail_errno(why, "cannot write " + path);
  }
  return {};
}

// systemd reads its units again; nothing to do where it does not run, or of another root.
Result<void> tell_systemd(const Options& options) {
  if (!options.root.empty() || !is_systemd_running()) return {};
  const Result<ProgramOutput> done = run_program({"systemctl", "daemon-reload"});
  if (!done) return tl::unexpected(done.error());
  if (done->exit_code != 0) return fail(ErrorKind::kSystem, "systemctl daemon-reload failed");
  return {};
}

Result<void> enable(const Options& options) {
  const Result<std::string> unit = service_name(options.unit);
  if (!unit) return tl::unexpected(unit.error());
  if (auto checked = check_policy_file(options); !checked) return checked;
  const std::string directory = unit_directory(options) + "/" + *unit + ".d";
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (failure) return fail_errno(failure.value(), "cannot make the directory " + directory);
  const std::string path = directory + "/" + kDropInName;
  if (auto written = write_file(path, drop_in_text(kInstalledProgram, options.policy, options.allow_partial));
      !written) {
    return written;
  }
  if (auto told = tell_systemd(options); !told) return told;
  say(escape_for_display(*unit) + " is armed from its next start on (" + escape_for_display(path) + ")");
  return {};
}

Result<void> disable(const Options& options) {
  const Result<std::string> unit = service_name(options.unit);
  if (!unit) return tl::unexpected(unit.error());
  const std::string directory = unit_directory(options) + "/" + *unit + ".d";
  const std::string path = directory + "/" + kDropInName;
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return fail(ErrorKind::kNotFound, escape_for_display(*unit) + " has no drop-in of namewall");
    return fail_errno(errno, "cannot remove " + path);
  }
  ::rmdir(directory.c_str());  // other drop-ins keep it
  if (auto told = tell_systemd(options); !told) return told;
  say(escape_for_display(*unit) +
      " is no longer armed at its starts; what is armed now stays so until `namewall teardown`");
  return {};
}

Result<void> list(const Options& options) {
  std::vector<std::pair<std::string, std::string>> units;  // with their policies
  std::error_code failure;
  std::filesystem::directory_iterator entries(unit_directory(options), failure);
  if (failure == std::errc::no_such_file_or_directory) failure.clear();
  for (; !failure && entries != std::filesystem::directory_iterator(); entries.increment(failure)) {
    const std::string name = entries->path().filename();
    if (!name.ends_with(".service.d")) continue;
    const Result<std::string> text = read_text_file(entries->path().string() + "/" + kDropInName);
    if (text) units.emplace_back(name.substr(0, name.size() - 2), policy_of_drop_in(*text));
  }
  if (failure) return fail_errno(failure.value(), "cannot read " + unit_directory(options));
  std::sort(units.begin(), units.end());
  Table table({{"UNIT", false, 0, 20}, {"POLICY", false, 0, 20, true}});
  for (const auto& [unit, policy] : units) table.add({escape_for_display(unit), policy});
  (void)print(table.is_empty() ? "No unit arms itself.\n" : table.to_string(find_screen().width));
  return {};
}

int finish(const Result<void>& done) {
  return done ? kExitOk : tell(exit_code_of(done.error().kind), done.error().message());
}

}  // namespace

void add_unit_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("unit", "Have systemd services arm themselves before their first process");
  command.require_subcommand(1);
  const auto add = [&](const char* name, const char* description, Result<void> (*act)(const Options&)) -> CLI::App& {
    CLI::App& each = *command.add_subcommand(name, description);
    each.add_option("--root", options->root, "Of an image that is not running: its directory")->type_name("DIR");
    each.callback([options, act, &exit_code] { exit_code = finish(act(*options)); });
    return each;
  };
  CLI::App& enabling = add("enable", "Write the drop-in; from its next start on the service is armed", &enable);
  enabling.add_option("unit", options->unit, "The service, also a template such as worker@.service")->required();
  enabling.add_option("--policy", options->policy, "The policy file, an absolute path")->required()->type_name("FILE");
  enabling.add_flag("--allow-partial", options->allow_partial,
                    "Start it also where something can act for it from outside");
  CLI::App& disabling = add("disable", "Remove the drop-in", &disable);
  disabling.add_option("unit", options->unit, "The service")->required();
  add("list", "List the services that arm themselves, with their policies", &list);
}

}  // namespace namewall::agent
