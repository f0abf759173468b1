// The daemon's log, through spdlog: to the journal with fields, or as lines on stderr where there is no journal or a
// person reads along. Never throws, never fails, never waits: a thread of its own writes (start it after the last fork
// without exec), and when journald stands still the oldest waiting entries give way and are counted.
#pragma once

#include <cstddef>
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

// Any bytes: the log escapes them and cuts each at kMaxLogText.
struct LogEntry {
  Priority priority = Priority::kInfo;
  std::string message;
  LogFields fields;
};

inline constexpr std::size_t kMaxLogText = 65536;

class JournalLog {
 public:
  // kJournalIfThere: its socket exists, and stderr is no terminal; asked anew for each entry. kLines: always stderr.
  enum class Way { kJournalIfThere, kLines };
  struct Options {
    std::string identifier = "namewalld";
    Priority least = Priority::kInfo;  // less important entries are left out
    Way way = Way::kJournalIfThere;
    std::size_t waiting = 1024;  // entries that may wait for the journal
  };

  explicit JournalLog(const Options& options);
  ~JournalLog();  // writes what waits
  JournalLog(const JournalLog&) = delete;
  JournalLog& operator=(const JournalLog&) = delete;

  void write(const LogEntry& entry);
  void set_least(Priority least);
  // Entries that gave way, or that neither journal nor stderr took.
  std::uint64_t failures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
