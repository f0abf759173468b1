// `namewall sets [WORKLOAD] [--json] [--repair]`
#include <CLI/CLI.hpp>
#include <future>
#include <memory>
#include <optional>

#include "agent/client/client_command.h"
#include "agent/client/direct_arming.h"
#include "agent/client/kernel_sets.h"
#include "agent/client/sets_text.h"
#include "agent/client/view_reader.h"
#include "agent/command.h"
#include "agent/host/host_clock.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

struct Options : ClientOptions {
  std::string workload;
  std::string pin_directory = kDefaultPinDirectory;
  bool repair = false;
};

Result<KernelSets> read_pins(const std::string& pin_directory) {
  KernelSets sets;
  if (auto done = read_bpf(pin_directory, boot_now(), sets); !done) {
    if (done.error().kind == ErrorKind::kPermission) return tl::unexpected(done.error());
    sets.notes.push_back(done.error().message());
  }
  return sets;
}

// With what was read of the pins.
Result<KernelSets> read_table(const ModelSets* model, KernelSets sets) {
  sets.begun = boot_now();
  std::vector<KernelPlace> expected;
  if (model != nullptr) expected = expected_places(*model);
  if (auto done = read_nft(model != nullptr ? &expected : nullptr, sets); !done) return tl::unexpected(done.error());
  sets.ended = boot_now();
  return sets;
}

Answer<ModelSets> read_model(const DaemonClient& daemon, const std::string& target) {
  ModelSets model;
  bool is_read = true;
  const auto ended = daemon.stream(target, [&](std::string_view line) { return is_read = model.add(line); });
  if (!ended) return tl::unexpected(ended.error());
  if (!is_read) {
    return tl::unexpected(
        DaemonError{kExitOwnFailure, "the daemon's answer is not what this namewall reads: are both of one version?"});
  }
  return model;
}

// Of rows that differ, what a second look says.
Answer<void> look_again(const DaemonClient& daemon, SetsView& view, std::vector<std::unique_ptr<ModelSets>>& models) {
  ModelSets& again = *models.emplace_back(std::make_unique<ModelSets>());
  for (const std::uint32_t index : doubtful_workloads(view)) {
    const WorkloadRow& workload = view.workloads[index];
    if (!workload.is_in_model) continue;
    auto part = read_model(daemon, workload_target(workload.name, "/sets"));
    if (!part && part.error().exit_code == kExitNoSuchObject) continue;  // it went away
    if (!part) return tl::unexpected(part.error());
    again.take(*std::move(part));
  }
  std::vector<KernelPlace> places;
  for (const SetRow& row : view.rows) {
    if (row.drift != Drift::kNone) places.push_back(place_of(view, row));
  }
  const auto held = look_up_nft(places);
  if (!held) return tl::unexpected(to_daemon_error(held.error()).value());
  std::size_t at = 0;
  settle(
      view, [&](const SetRow&) { return (*held)[at++]; }, again);
  return {};
}

int print_repair(const DaemonClient& daemon, const Options& options) {
  const Answer<std::string> body = daemon.send("POST", "/v1/sets/repair", "");
  if (!body && body.error().is_no_daemon()) {
    return tell(kExitNoDaemon,
                body.error().sentence +
                    "; nobody but the daemon knows what the kernel should hold: start namewalld, which rebuilds what "
                    "differs, or lift everything with `namewall teardown --all`");
  }
  if (!body) return tell(body.error());
  const Answer<RepairView> repair = read_view<RepairView>(*body);
  if (!repair) return tell(repair.error());
  if (options.json) {
    print_json(*body);
  } else {
    (void)print(repair_text(*repair, find_screen()));
  }
  return repair->unrepaired.empty() ? kExitOk : kExitNotEnforcing;
}

int run_sets(const Options& options) {
  const DaemonClient daemon(options.socket);
  if (options.repair) return print_repair(daemon, options);
  // What is in the pins nobody need tell: it is read while the daemon answers.
  auto pins = std::async(std::launch::async, [&] { return read_pins(options.pin_directory); });
  const Answer<ModelSets> model = read_model(daemon, "/v1/sets");
  Result<KernelSets> pinned = pins.get();
  if (!model && !model.error().is_no_daemon()) return tell(model.error());
  const Result<KernelSets> kernel =
      pinned ? read_table(model ? &*model : nullptr, *std::move(pinned)) : std::move(pinned);
  if (!kernel) {
    return tell(exit_code_of(kernel.error().kind), kernel.error().message() + ": the kernel is read as root");
  }
  SetsFacts facts;
  if (!model) facts.no_daemon = model.error().sentence;
  facts.notes = kernel->notes;
  SetsView view = join(*kernel, model ? &*model : nullptr, options.workload);
  if (!options.workload.empty() && view.workloads.empty())
    return tell(kExitNoSuchObject, "no workload is called " + quote_for_display(options.workload) +
                                       (model ? "" : ": without a daemon, name its cgroup's path or id"));
  std::vector<std::unique_ptr<ModelSets>> models;
  if (model && !doubtful_workloads(view).empty()) {
    if (const auto looked = look_again(daemon, view, models); !looked) return tell(looked.error());
  }
  if (model) facts.changed = model->host.changed;
  if (model && kernel->table && facts.changed.empty()) {
    for (const std::string& set : kernel->table->missing_sets) facts.changed.push_back("the set " + set + " is gone");
    if (kernel->table->is_dormant) facts.changed.push_back("the table is dormant: nothing is enforced");
  }
  (void)print(options.json ? sets_json(view, *kernel, facts) : sets_text(view, *kernel, facts, find_screen()));
  return has_drift(view, facts) ? kExitNotEnforcing : kExitOk;
}

}  // namespace

void add_sets_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand(
      "sets", "List what the kernel itself holds of grants, with what the daemon knows of each, and what differs");
  add_client_options(command, *options);
  CLI::Option* workload = command.add_option("workload", options->workload,
                                             "Only of this workload: its name, its cgroup's path, or the cgroup's id");
  command
      .add_flag("--repair", options->repair, "Have the daemon rebuild what the kernel holds otherwise than its model")
      ->excludes(workload);
  command.add_option("--pin-directory", options->pin_directory, "Where the BPF maps are pinned")->capture_default_str();
  command.callback([options, &exit_code] { exit_code = run_sets(*options); });
}

}  // namespace namewall::agent
