// The host daemon `namewalld`. Exit codes as agent/command.h.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "agent/command.h"
#include "agent/host/daemon.h"
#include "agent/host/daemon_options.h"
#include "agent/host/folder_findings.h"
#include "agent/host/folder_snapshot.h"
#include "agent/host/host_clock.h"
#include "agent/host/policy_folder.h"
#include "agent/policy_context.h"
#include "agent/policy_sources.h"
#include "agent/public_suffix.h"

namespace {

using namewall::agent::DaemonOptions;

int fail_with(const namewall::Error& error) {
  std::fprintf(stderr, "namewalld: %s\n", error.message().c_str());
  return namewall::agent::exit_code_of(error.kind);
}

// Every error and warning of the configuration, a line each.
int check(const DaemonOptions& options) {
  const auto system = namewall::agent::read_system_resolv_conf();
  if (!system) return fail_with(system.error());
  const auto contents =
      namewall::agent::read_folder(options.config_directory + "/policies.d", options.config_directory + "/host.toml");
  const auto context = namewall::agent::PolicyContext::read_shipped(options.group_directory);
  auto snapshot =
      namewall::agent::next_snapshot(contents, {}, *system, namewall::agent::boot_now(), std::nullopt, context.get());
  find_conflicts(snapshot, {}, namewall::agent::read_public_suffixes());
  for (const std::string& error : context.errors()) std::fprintf(stderr, "%s\n", error.c_str());
  for (const std::string& error : snapshot.all_errors()) std::fprintf(stderr, "%s\n", error.c_str());
  for (const std::string& warning : snapshot.host.warnings) std::fprintf(stderr, "%s\n", warning.c_str());
  for (const auto& file : snapshot.files) {
    for (const std::string& warning : file.warnings) std::fprintf(stderr, "%s\n", warning.c_str());
    for (const std::string& finding : file.findings) std::fprintf(stderr, "%s\n", finding.c_str());
  }
  return snapshot.ok() && context.errors().empty() ? namewall::agent::kExitOk : namewall::agent::kExitInputErrors;
}

int serve(const DaemonOptions& options) {
  auto daemon = namewall::agent::HostDaemon::start(options);
  if (!daemon) return fail_with(daemon.error());
  const auto ended = daemon->run();
  return ended ? namewall::agent::kExitOk : fail_with(ended.error());
}

// A descriptor that is opened must not become 0, 1 or 2 because the caller closed it.
void fill_closed_standard_descriptors() {
  for (int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC); fd >= 0; fd = ::open("/dev/null", O_RDWR | O_CLOEXEC)) {
    if (fd <= STDERR_FILENO) continue;
    ::close(fd);
    return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  fill_closed_standard_descriptors();
  DaemonOptions options;
  bool only_check = false;
  CLI::App app{"Holds the workloads of this host to their policies", "namewalld"};
  app.set_version_flag("--version", "namewalld " NAMEWALL_VERSION);
  app.add_option("--config-directory", options.config_directory, "policies.d and host.toml")->capture_default_str();
  app.add_option("--state-directory", options.state_directory, "What outlives a restart")->capture_default_str();
  app.add_option("--run-directory", options.run_directory, "The control socket")->capture_default_str();
  app.add_option("--log-directory", options.log_directory, "The record of changes")->capture_default_str();
  app.add_option("--pin-directory", options.pin_directory, "Where bpffs keeps what is enforced")->capture_default_str();
  app.add_option("--group-directory", options.group_directory, "The shipped groups of endpoints")
      ->capture_default_str();
  app.add_option("--user", options.user, "Whom it runs as: a name, or UID:GID")->capture_default_str();
  app.add_flag("--check", only_check, "Check the configuration and exit: 0 without errors");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "namewalld: %s (see namewalld --help)\n", error.what());
    return namewall::agent::kExitOwnFailure;
  }
  return only_check ? check(options) : serve(options);
}
