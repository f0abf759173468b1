// Where the daemon tells what it did and what befell it: a notice among the events, a line of the log, and for changes
// a line of the change record. Nothing here fails: a file that cannot be written is told of once and counted.
#pragma once

#include <cstdint>
#include <string>

#include "agent/host/change_record.h"
#include "agent/host/disk_trouble.h"
#include "agent/host/event_hub.h"
#include "agent/host/event_log.h"
#include "agent/host/host.h"
#include "agent/host/journal_log.h"

namespace namewall::agent {

class HostDiary {
 public:
  HostDiary(EventHub& hub, JournalLog& log, ChangeRecord& record, EventLog& events)
      : hub_(hub), log_(log), record_(record), events_(events), record_trouble_("the change record") {}

  // A notice with a stable code. `workload` "": of the host.
  void notice(Priority priority, const std::string& workload, const std::string& code, const std::string& sentence);
  // A log line alone.
  void log(Priority priority, const std::string& message);
  // A change: `time` is set here. `peer`: who asked; nullptr: the daemon itself.
  void record(ChangeEntry entry, const Peer* peer);
  // A refusal on its way into the log; floods are summarised.
  void refusal(const KeptEvent& kept, BootTime now);
  void tick(BootTime now);
  void finish();
  void reopen_files() { record_.reopen(); }

  std::uint64_t record_failures() const { return record_trouble_.failures(); }

 private:
  EventHub& hub_;
  JournalLog& log_;
  ChangeRecord& record_;
  EventLog& events_;
  DiskTrouble record_trouble_;
};

}  // namespace namewall::agent
