// The daemon's log, through spdlog: to the journal with fields, or as lines on stderr where there is no journal or a
// person reads along. Never throws, never fails: a line that the journal does not take goes to stderr and is counted.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace namewall::agent {

// As syslog(3) numbers them.
enum class Priority { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6, kDebug = 7 };

// Empty ones (and generation 0) are left out. NAMEWALL_WORKLOAD, NAMEWALL_POLICY, ...
struct LogFields {
  std::string workload, policy, reason, name, address;
  std::uint64_t generation = 0;
};

struct LogEntry {
  Priority priority = Priority::kInfo;
  std::string message;  // escaped by the log: any bytes
  LogFields fields;
};

class JournalLog {
 public:
  struct Options {
    std::string identifier = "namewalld";
    Priority least = Priority::kInfo;  // less important entries are left out
    // Journal: its socket exists, and stderr is no terminal. Lines: always stderr.
    enum class Way { kJournalIfThere, kLines } way = Way::kJournalIfThere;
  };

  // Becomes spdlog's default logger too, so that spdlog::warn("...") of anybody ends here.
  explicit JournalLog(const Options& options);
  ~JournalLog();
  JournalLog(const JournalLog&) = delete;
  JournalLog& operator=(const JournalLog&) = delete;

  void write(const LogEntry& entry);
  std::uint64_t failures() const;  // lines that the journal did not take

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
