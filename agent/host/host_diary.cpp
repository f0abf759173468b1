#include "agent/host/host_diary.h"

#include <utility>

#include "agent/host/host_clock.h"

namespace namewall::agent {

void HostDiary::notice(Priority priority, const std::string& workload, const std::string& code,
                       const std::string& sentence) {
  hub_.add_notice(workload, code, sentence, utc_now());
  LogEntry entry;
  entry.priority = priority;
  entry.message = workload.empty() ? sentence : workload + ": " + sentence;
  entry.fields.workload = workload;
  entry.fields.reason = code;
  log_.write(entry);
}

void HostDiary::log(Priority priority, const std::string& message) { log_.write({priority, message, {}}); }

void HostDiary::record(ChangeEntry entry, const Peer* peer) {
  entry.time = rfc3339_milliseconds(utc_now());
  if (peer != nullptr) {
    entry.by_peer = true;
    entry.uid = peer->uid;
    entry.pid = peer->pid;
    entry.executable = peer->executable;
  }
  if (const auto news = record_trouble_.note(record_.append(entry))) log(Priority::kError, *news);
}

void HostDiary::refusal(const KeptEvent& kept, BootTime now) {
  if (const auto entry = events_.add(view_of(kept), now)) log_.write(*entry);
}

void HostDiary::tick(BootTime now) {
  for (const LogEntry& entry : events_.take_summaries(now)) log_.write(entry);
}

void HostDiary::finish() {
  for (const LogEntry& entry : events_.finish(boot_now())) log_.write(entry);
}

}  // namespace namewall::agent
