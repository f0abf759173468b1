// What the service manager is told (sd_notify(3)) and keeps for us. Without NOTIFY_SOCKET every call succeeds and does
// nothing.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "policy/boot_time.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

struct HeldDescriptor {
  std::string name;
  FileDescriptor fd;  // close-on-exec
};

class ServiceNotify {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of this process.
  static ServiceNotify from_environment();

  // `status`: one line for people ("enforcing 12 workloads"); line ends in it are escaped.
  Result<void> ready(const std::string& status);
  // ready() ends it. `monotonic`: CLOCK_MONOTONIC now, which the manager compares with its own.
  Result<void> reloading(Nanoseconds monotonic);
  Result<void> stopping(const std::string& status);
  Result<void> status(const std::string& status);
  Result<void> main_pid(pid_t pid);

  // Whether a service manager wants to be told: it may keep descriptors, then.
  bool is_listened_to() const { return is_listened_to_; }

  // How often turned() must be called at least: half of what the manager waits. nullopt: no watchdog.
  std::optional<Nanoseconds> watchdog_interval() const { return watchdog_interval_; }
  // The loop has really turned. Pings when a quarter of the manager's patience has passed since the last ping.
  Result<void> turned(BootTime now);

  // The manager keeps a copy of `fd` over restarts (FileDescriptorStoreMax= of the unit), until release().
  Result<void> hold(const std::string& name, int fd);  // name: letters, digits, '-', '_', '.'; at most 255
  Result<void> release(const std::string& name);

  // What an earlier process gave to hold(), and sockets of a .socket unit; once, at start. Removes LISTEN_* from the
  // environment. Of several with one name all are returned.
  static Result<std::vector<HeldDescriptor>> take_held();

 private:
  ServiceNotify() = default;

  bool is_listened_to_ = false;
  std::optional<Nanoseconds> watchdog_interval_;
  std::optional<BootTime> last_ping_;
};

}  // namespace namewall::agent
