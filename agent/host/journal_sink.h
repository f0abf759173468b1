// The spdlog sink behind JournalLog. A log_msg of spdlog 1.10 has no fields: they travel in its payload, which only
// encode_entry makes.
#pragma once

#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/host/journal_log.h"

namespace namewall::agent {

// Every text escaped (policy/escape.h).
std::string encode_entry(const LogEntry& entry);
LogEntry decode_entry(std::string_view payload);

// One thread calls it.
class JournalSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  JournalSink(std::string identifier, JournalLog::Way way);
  std::uint64_t failures() const { return failures_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  bool send_to_journal(const LogEntry& entry) const;
  bool write_line(const LogEntry& entry) const;

  std::string identifier_;
  bool may_use_journal_;
  bool stderr_is_journal_;  // its lines may carry their priority
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace namewall::agent
