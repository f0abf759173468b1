// What `namewall run` tells: a line per refused (target, protocol, port, reason) with the exact --allow that would
// permit it, and a summary at the end. Text goes to stderr (or is kept back while CMD owns the terminal), events as
// JSON lines to a file or descriptor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf/enforcer.h"
#include "policy/event.h"
#include "policy/policy.h"
#include "policy/policy_image.h"
#include "policy/result.h"

namespace namewall::agent {

struct ReportOptions {
  bool quiet = false;              // nothing but errors on stderr
  bool json = false;               // no text on stderr; the summary as one JSON object at the end, also when quiet
  bool hold_lines = false;         // CMD shares the terminal: lines wait while it is in raw mode (line_writer.h)
  std::string events_sink = {};    // "" none, "fd:N", else a file (appended)
  std::string save_path = {};      // --save FILE: the policy in force plus, commented, what would permit the refusals
  std::string policy_source = {};  // "" when rules came from --allow: decides how a permit is phrased
};

struct RunStart {
  std::string workload;  // "run-4121"
  std::uint32_t uid = 0;
  Policy policy;  // as loaded
  PolicyImage image;
};

class Report {
 public:
  // Before CMD starts: opens the events sink (close-on-exec) and the directory of --save; an error is a sentence.
  static Result<Report> open(ReportOptions options);
  Report(Report&&) noexcept;
  Report& operator=(Report&&) noexcept;
  ~Report();

  void start(const RunStart& start);
  void add(const Event& event);
  void note(const std::string& line);  // one "namewall: ..." line, under the same rules
  // For --stop-on-refusal: something CMD did was refused. Audit events, quic attempts beside an allowed https,
  // unsolicited packets and withheld answers do not count.
  bool has_refusals() const;
  // Lines that waited are shown once the terminal is out of raw mode: call about twice a second while lines_wait().
  bool lines_wait() const;
  void flush_lines();
  void finish(int exit_code, const std::vector<GrantRecord>& grants, const Counters& counters);

 private:
  struct State;
  explicit Report(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
