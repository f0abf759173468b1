// `namewall doctor`: what holds here, proved by trying it; what stays open; whose programs are on the path.
// `namewall doctor WORKLOAD`: what lies outside of what holds this workload, by the daemon.
#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "agent/cgroup_tree.h"
#include "agent/client/ask_doctor.h"
#include "agent/command.h"
#include "agent/doctor_cgroup.h"
#include "agent/doctor_host.h"
#include "agent/doctor_marks.h"
#include "agent/doctor_nft.h"
#include "agent/doctor_report.h"
#include "agent/doctor_trial.h"
#include "agent/doctor_ways.h"
#include "bpf/kernel_probe.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {
namespace {

using State = DoctorCheck::State;

void append(std::vector<DoctorCheck>& to, std::vector<DoctorCheck> checks) {
  for (DoctorCheck& check : checks) to.push_back(std::move(check));
}

std::vector<DoctorCheck> checks_of(const char* group, const std::vector<bpf::ProbeOutcome>& outcomes) {
  std::vector<DoctorCheck> out;
  for (const bpf::ProbeOutcome& outcome : outcomes) {
    const State without = outcome.is_required ? State::kMissing : State::kOptional;
    const std::string error =
        outcome.error_number != 0 ? std::strerror(outcome.error_number) : "this kernel does not have it";
    out.push_back({group, outcome.id, outcome.works ? State::kHolds : without, outcome.works ? "" : error});
  }
  return out;
}

// All that needs a cgroup of its own; the cgroup is gone again when this returns.
void examine_in_cgroup(DoctorReport& report, const std::string& own_directory) {
  auto cgroup = RunCgroup::create(own_directory);
  if (!cgroup) {
    report.checks.push_back({"host", "throw_away_cgroup", State::kMissing, cgroup.error().message()});
    return;
  }
  // First: check_cgroup() ends by cgroup.kill, and no child begins in this cgroup after that (cgroup_child.h).
  std::vector<DoctorCheck> trial = try_policy(*cgroup);
  append(report.checks, check_cgroup(*cgroup));
  append(report.checks, checks_of("hooks", bpf::probe_hooks(cgroup->fd())));
  append(report.checks, checks_of("maps", bpf::probe_maps()));
  append(report.checks, checks_of("helpers", bpf::probe_helpers()));
  append(report.checks, std::move(trial));
  if (const auto removed = cgroup->remove(); !removed) {
    report.checks.push_back({"host", "throw_away_cgroup", State::kMissing, removed.error().message()});
  }
}

void examine_path(DoctorReport& report, const std::string& own_directory) {
  const FileDescriptor own(open(own_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto programs = bpf::find_attached_programs(own.get());
  if (!programs) {
    report.checks.push_back({"host", "programs_on_path", State::kMissing, programs.error().message()});
    return;
  }
  for (const bpf::AttachedProgram& program : *programs) {
    report.foreign_programs.push_back({program.hook, program.id, program.name, program.is_ours});
  }
}

DoctorReport examine() {
  DoctorReport report;
  append(report.checks, check_capabilities());
  append(report.checks, check_host());
  append(report.checks, check_marks());
  append(report.checks, check_nft());
  const auto own = find_own_cgroup_directory();
  if (own) {
    report.checks.push_back({"host", "cgroup2", State::kHolds, *own});
    examine_path(report, *own);
    examine_in_cgroup(report, *own);
  } else {
    report.checks.push_back({"host", "cgroup2", State::kMissing, own.error().message()});
  }
  report.ways_around = find_ways_around();
  return report;
}

}  // namespace

void add_doctor_command(CLI::App& app, int& exit_code) {
  CLI::App* doctor = app.add_subcommand("doctor", "Prove what holds on this host, and list what stays open");
  struct Options : ClientOptions {
    std::string workload, cgroup;
  };
  auto options = std::make_shared<Options>();
  add_client_options(*doctor, *options);
  doctor->add_option("workload", options->workload,
                     "Instead: what lies outside of what holds this workload, asked of the daemon");
  doctor->add_option("--cgroup", options->cgroup, "Instead: what acts for this cgroup from outside or past the hooks");
  doctor->callback([options, &exit_code] {
    if (!options->cgroup.empty()) {
      exit_code = doctor_cgroup(options->cgroup, options->json);
      return;
    }
    if (!options->workload.empty()) {
      exit_code = ask_doctor(*options, options->workload);
      return;
    }
    const DoctorReport report = examine();
    std::fputs((options->json ? to_json(report) + "\n" : to_table(report)).c_str(), stdout);
    exit_code = report.is_ready() ? kExitOk : kExitOwnFailure;
  });
}

}  // namespace namewall::agent
