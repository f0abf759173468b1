#include "agent/report.h"

#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <optional>
#include <utility>

#include "agent/event_sink.h"
#include "agent/line_writer.h"
#include "agent/policy_save.h"
#include "agent/refusal_tally.h"
#include "agent/report_json.h"
#include "agent/report_text.h"
#include "agent/run_summary.h"

namespace namewall::agent {
namespace {

Nanoseconds read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

// Read anew for every event: the wall clock may be set while CMD runs.
Nanoseconds utc_at_boot() { return read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME); }

}  // namespace

struct Report::State {
  explicit State(ReportOptions from) : options(std::move(from)), lines(STDERR_FILENO, options.hold_lines) {
    style.colour = lines.wants_colour(std::getenv("NO_COLOR"), std::getenv("TERM"));
    style.policy_source = options.policy_source;
  }
  bool shows_text() const { return !options.quiet && !options.json; }
  void show(std::string line) {
    if (shows_text() && !line.empty()) lines.write(std::move(line));
  }
  void save(RunSummary& summary);

  ReportOptions options;
  LineWriter lines;
  TextStyle style;
  RunStart run;
  RefusalTally tally;
  std::optional<EventSink> sink;
  std::optional<PolicySave> policy_save;
  bool refused = false;
};

Report::Report(std::unique_ptr<State> state) : state_(std::move(state)) {}
Report::Report(Report&&) noexcept = default;
Report& Report::operator=(Report&&) noexcept = default;
Report::~Report() = default;

Result<Report> Report::open(ReportOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  if (!state->options.events_sink.empty()) {
    auto sink = EventSink::open(state->options.events_sink);
    if (!sink) return tl::unexpected(sink.error());
    state->sink.emplace(std::move(*sink));
  }
  if (!state->options.save_path.empty()) {
    auto save = PolicySave::open(state->options.save_path);
    if (!save) return tl::unexpected(save.error());
    state->policy_save.emplace(std::move(*save));
  }
  return Report(std::move(state));
}

void Report::start(const RunStart& start) {
  state_->run = start;
  state_->show(start_line(start));
}

void Report::add(const Event& event) {
  const bool quic = is_quic_attempt(event, state_->run.image);
  if (state_->sink) state_->sink->write(event_to_json(event, state_->run.workload, utc_at_boot(), quic));
  if (event.reason == NW_REASON_NONE) return;
  if (!event.audit && !quic && is_own_doing(event)) state_->refused = true;
  switch (state_->tally.add(event, quic)) {
    case RefusalTally::Added::kNew:
      if (quic) break;
      state_->style.columns = state_->lines.columns();
      state_->show(refusal_line(event, state_->style));
      break;
    case RefusalTally::Added::kBeyondBound:
      if (state_->tally.beyond_bound() == 1)
        state_->show("namewall: too many targets to list: further ones are only counted");
      break;
    case RefusalTally::Added::kRepeated:
      break;
  }
}

void Report::note(const std::string& line) { state_->show("namewall: " + line); }
bool Report::has_refusals() const { return state_->refused; }
bool Report::lines_wait() const { return state_->lines.waits(); }
void Report::flush_lines() { state_->lines.flush(); }

void Report::State::save(RunSummary& summary) {
  if (!policy_save) return;
  const auto saved = policy_save->write(saved_policy_text(run.policy, tally, policy_save->path()));
  if (saved) {
    summary.saved_to = policy_save->path();
  } else {
    lines.write("namewall: error: " + saved.error().message());
  }
}

void Report::finish(int exit_code, const std::vector<GrantRecord>& grants, const Counters& counters) {
  State& state = *state_;
  state.lines.finish();

  RunSummary summary;
  summary.workload = state.run.workload;
  summary.exit_code = exit_code;
  summary.audit = state.run.image.mode == Mode::kAudit;
  summary.reached = reached_names(grants, state.run.image);
  summary.granted = granted_addresses(grants, state.run.image, BootTime{read_clock(CLOCK_BOOTTIME)});
  summary.losses = event_losses(counters, state.tally, state.sink ? state.sink->lost() : 0);
  state.save(summary);
  if (!state.policy_save && state.options.policy_source.empty() && state.tally.targets() != 0) {
    summary.save_hint = state.run.policy.name.empty() ? "namewall.toml" : state.run.policy.name + ".toml";
  }
  if (state.sink) {
    state.sink->write("{\"summary\":" + summary_to_json(summary, state.tally) + "}");
    state.sink->finish();
  }
  if (state.options.json) {
    state.lines.write(summary_to_json(summary, state.tally));
  } else {
    for (std::string& line : repeat_lines(state.tally)) state.show(std::move(line));
    state.show(losses_line(summary.losses));
    state.show(summary_line(summary, state.tally));
  }
  state.lines.finish();
}

}  // namespace namewall::agent
