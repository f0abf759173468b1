// The daemon's log against journald's protocol: what arrives, and what happens without a journal or with a stuck one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>

#include "agent/host/journal_log.h"
#include "tests/kernel/support/fake_journal.h"

namespace namewall::kernel_tests {
namespace {

using agent::JournalLog;
using agent::LogEntry;
using agent::Priority;

LogEntry make_entry(const std::string& message) {
  LogEntry entry;
  entry.priority = Priority::kWarning;
  entry.message = message;
  entry.fields = {"builder", "ci", "not_looked_up", "secret.example", "192.0.2.7", 4};
  return entry;
}

std::string text_of(const FakeJournal::Entry& entry) {
  std::string text;
  for (const auto& [name, value] : entry.fields) text += name + "=" + value + "\n";
  return text;
}

// What stderr got while it lives; in a child only.
class CapturedErrors {
 public:
  CapturedErrors() : file_(open("/run/errors", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    dup2(file_.get(), STDERR_FILENO);
  }
  std::string stream() const {
    struct stat status {};
    fstat(file_.get(), &status);
    return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  }
  std::string text() const {
    std::string text(4096, '\0');
    const ssize_t count = pread(file_.get(), text.data(), text.size(), 0);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }

 private:
  OwnedFd file_;
};

std::string after_logging(const JournalLog::Options& options, const LogEntry& entry) {
  JournalLog(options).write(entry);
  return {};
}

TEST(Journal, GetsEveryFieldOfAnEntry) {
  const auto answer = in_own_run_directory([] {
    const CapturedErrors errors;
    FakeJournal journal;
    after_logging({}, make_entry("builder: refused"));
    return text_of(journal.take()) + errors.text();
  });
  EXPECT_EQ(
      answer,
      "MESSAGE=builder: refused\nNAMEWALL_ADDRESS=192.0.2.7\nNAMEWALL_GENERATION=4\nNAMEWALL_NAME=secret.example\n"
      "NAMEWALL_POLICY=ci\nNAMEWALL_REASON=not_looked_up\nNAMEWALL_WORKLOAD=builder\nPRIORITY=4\n"
      "SYSLOG_IDENTIFIER=namewalld\n");
}

TEST(Journal, GetsNoFieldThatIsEmpty) {
  const auto answer = in_own_run_directory([] {
    const CapturedErrors errors;
    FakeJournal journal;
    LogEntry entry;
    entry.message = "started";
    after_logging({}, entry);
    return text_of(journal.take());
  });
  EXPECT_EQ(answer, "MESSAGE=started\nPRIORITY=6\nSYSLOG_IDENTIFIER=namewalld\n");
}

TEST(Journal, GetsNoFieldThatAWorkloadForged) {
  const auto answer = in_own_run_directory([] {
    const CapturedErrors errors;
    FakeJournal journal;
    LogEntry entry = make_entry("x\nPRIORITY=0\nFORGED=1");
    entry.fields.name = "a\nFORGED=2";
    after_logging({}, entry);
    const auto got = journal.take();
    return got.fields.contains("FORGED") ? "forged" : got.fields.at("PRIORITY") + got.fields.at("NAMEWALL_NAME");
  });
  EXPECT_EQ(answer, "4a\\x0aFORGED=2");
}

// By datagram or by memfd: without CAP_NET_ADMIN a datagram ends at the host's net.core.wmem_max, 208 KiB by default.
TEST(Journal, GetsTheLargestEntryWhole) {
  const auto answer = in_own_run_directory([] {
    const CapturedErrors errors;
    FakeJournal journal;
    if (setresuid(64321, 64321, 64321) != 0) return std::string("cannot become another user");
    const std::string large(2 * agent::kMaxLogText, '\n');
    LogEntry entry = make_entry(large);
    entry.fields = {large, large, large, large, large, 4};
    after_logging({}, entry);
    const auto fields = journal.take().fields;
    return std::to_string(fields.at("MESSAGE").size()) + " " + std::to_string(fields.at("NAMEWALL_ADDRESS").size());
  });
  const auto escaped = std::to_string(4 * agent::kMaxLogText);
  EXPECT_EQ(answer, escaped + " " + escaped);
}

TEST(Journal, LeavesOutWhatIsLessImportantThanWanted) {
  const auto answer = in_own_run_directory([] {
    const CapturedErrors errors;
    FakeJournal journal;
    JournalLog log({.least = Priority::kWarning});
    LogEntry entry = make_entry("dull");
    entry.priority = Priority::kInfo;
    log.write(entry);
    log.write(make_entry("important"));
    return journal.take().fields.at("MESSAGE");
  });
  EXPECT_EQ(answer, "important");
}

TEST(Journal, ThatIsMissingLeavesLinesOnStderr) {
  const auto answer = in_own_run_directory([] {
    const CapturedErrors errors;
    unsetenv("JOURNAL_STREAM");
    after_logging({}, make_entry("builder: refused\nx"));
    return errors.text();
  });
  EXPECT_EQ(answer, "namewalld: warning: builder: refused\\x0ax\n");
}

TEST(Journal, BehindStderrGetsPriorities) {
  const auto answer = in_own_run_directory([] {
    const CapturedErrors errors;
    setenv("JOURNAL_STREAM", errors.stream().c_str(), 1);
    after_logging({}, make_entry("builder: refused"));
    setenv("JOURNAL_STREAM", "1:1", 1);
    after_logging({}, make_entry("again"));
    return errors.text();
  });
  EXPECT_EQ(answer, "<4>builder: refused\nnamewalld: warning: again\n");
}

TEST(Journal, ThatRefusesAnEntryLeavesItOnStderr) {
  const auto answer = in_own_run_directory([] {
    const CapturedErrors errors;
    unsetenv("JOURNAL_STREAM");
    FakeJournal journal;
    journal.close();  // its name stays
    after_logging({}, make_entry("builder: refused"));
    return errors.text();
  });
  EXPECT_EQ(answer, "namewalld: warning: builder: refused\n");
}

TEST(Journal, ThatStandsStillHoldsNobody) {
  const auto answer = in_own_run_directory([] {
    const CapturedErrors errors;
    FakeJournal journal;
    JournalLog log({});
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 20'000; ++i) log.write(make_entry("flood"));
    const auto took = std::chrono::steady_clock::now() - begin;
    const auto failures = log.failures();
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    journal.close();
    if (took > std::chrono::seconds(5)) return std::string("waited");
    return failures > 10'000 ? std::string("counted") : "lost without a count: " + std::to_string(failures);
  });
  EXPECT_EQ(answer, "counted");
}

}  // namespace
}  // namespace namewall::kernel_tests
