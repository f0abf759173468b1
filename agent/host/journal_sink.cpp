#include "agent/host/journal_sink.h"

#define SD_JOURNAL_SUPPRESS_LOCATION  // every entry would name this file
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <utility>
#include <vector>

#include "agent/signal_free_write.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr const char* kJournalSocket = "/run/systemd/journal/socket";
constexpr char kSeparator = '\x1f';  // no escaped text holds it

// Of the variable that the service manager sets to "DEVICE:INODE" of the stream it gave us (systemd.exec(5)).
bool is_journal_stream(int fd) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  return stream != nullptr && fstat(fd, &status) == 0 &&
         stream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

const char* word_of(Priority priority) {
  switch (priority) {
    case Priority::kError:
      return "error: ";
    case Priority::kWarning:
      return "warning: ";
    default:
      return "";
  }
}

std::string encoded(std::string_view text) { return escape_for_display(text.substr(0, kMaxLogText)); }

std::string_view take_part(std::string_view& rest) {
  const auto end = rest.find(kSeparator);
  const auto part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

std::uint64_t number_of(std::string_view digits) {
  std::uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace

std::string encode_entry(const LogEntry& entry) {
  std::string payload = std::to_string(static_cast<int>(entry.priority));
  const LogFields& fields = entry.fields;
  for (const std::string* text :
       {&entry.message, &fields.workload, &fields.policy, &fields.reason, &fields.name, &fields.address})
    payload += kSeparator + encoded(*text);
  return payload + kSeparator + std::to_string(fields.generation);
}

LogEntry decode_entry(std::string_view payload) {
  LogEntry entry;
  entry.priority = static_cast<Priority>(number_of(take_part(payload)));
  LogFields& fields = entry.fields;
  for (std::string* text :
       {&entry.message, &fields.workload, &fields.policy, &fields.reason, &fields.name, &fields.address})
    *text = take_part(payload);
  fields.generation = number_of(take_part(payload));
  return entry;
}

JournalSink::JournalSink(std::string identifier, JournalLog::Way way)
    : identifier_(std::move(identifier)),
      may_use_journal_(way == JournalLog::Way::kJournalIfThere && isatty(STDERR_FILENO) == 0),
      stderr_is_journal_(is_journal_stream(STDERR_FILENO)) {}

void JournalSink::sink_it_(const spdlog::details::log_msg& message) {
  const LogEntry entry = decode_entry({message.payload.data(), message.payload.size()});
  if (may_use_journal_ && send_to_journal(entry)) return;
  if (!write_line(entry)) ++failures_;
}

bool JournalSink::send_to_journal(const LogEntry& entry) const {
  // sd_journal_sendv reports success when there is no socket.
  if (access(kJournalSocket, W_OK) != 0) return false;
  std::vector<std::string> texts{"MESSAGE=" + entry.message,
                                 "PRIORITY=" + std::to_string(static_cast<int>(entry.priority)),
                                 "SYSLOG_IDENTIFIER=" + identifier_};
  const LogFields& fields = entry.fields;
  const std::pair<const char*, const std::string*> named[] = {{"NAMEWALL_WORKLOAD=", &fields.workload},
                                                              {"NAMEWALL_POLICY=", &fields.policy},
                                                              {"NAMEWALL_REASON=", &fields.reason},
                                                              {"NAMEWALL_NAME=", &fields.name},
                                                              {"NAMEWALL_ADDRESS=", &fields.address}};
  for (const auto& [field, text] : named) {
    if (!text->empty()) texts.push_back(field + *text);
  }
  if (fields.generation != 0) texts.push_back("NAMEWALL_GENERATION=" + std::to_string(fields.generation));
  std::vector<iovec> vectors;
  for (std::string& text : texts) vectors.push_back({text.data(), text.size()});
  return sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size())) >= 0;
}

bool JournalSink::write_line(const LogEntry& entry) const {
  std::string line = stderr_is_journal_ ? "<" + std::to_string(static_cast<int>(entry.priority)) + ">"
                                        : identifier_ + ": " + word_of(entry.priority);
  line += entry.message + "\n";
  return write_without_signals(STDERR_FILENO, line) == static_cast<ssize_t>(line.size());
}

}  // namespace namewall::agent
