#include "agent/host/service_notify.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxStatus = 1024;

Result<void> tell(const std::string& assignments) {
  const int outcome = sd_notify(0, assignments.c_str());
  if (outcome < 0) return fail_errno(-outcome, "cannot tell the service manager");
  return {};
}

std::string status_line(const std::string& status) {
  return "STATUS=" + escape_for_display(std::string_view(status).substr(0, kMaxStatus));
}

// FDNAME of sd_notify(3), less what shells and people would have to quote.
bool is_descriptor_name(std::string_view name) {
  constexpr std::size_t kMaxName = 255;
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), is_allowed);
}

Result<void> check_name(const std::string& name) {
  if (is_descriptor_name(name)) return {};
  return fail(ErrorKind::kInvalid, quote_for_display(name) + " is no name for a held descriptor");
}

}  // namespace

ServiceNotify ServiceNotify::from_environment() {
  ServiceNotify notify;
  notify.is_listened_to_ = std::getenv("NOTIFY_SOCKET") != nullptr;
  std::uint64_t patience_us = 0;
  if (sd_watchdog_enabled(0, &patience_us) > 0) notify.watchdog_interval_ = std::chrono::microseconds(patience_us / 2);
  return notify;
}

Result<void> ServiceNotify::ready(const std::string& status) { return tell("READY=1\n" + status_line(status)); }

Result<void> ServiceNotify::reloading(Nanoseconds monotonic) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(monotonic).count();
  return tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds));
}

Result<void> ServiceNotify::stopping(const std::string& status) { return tell("STOPPING=1\n" + status_line(status)); }

Result<void> ServiceNotify::status(const std::string& status) { return tell(status_line(status)); }

Result<void> ServiceNotify::main_pid(pid_t pid) { return tell("MAINPID=" + std::to_string(pid)); }

Result<void> ServiceNotify::turned(BootTime now) {
  if (!watchdog_interval_ || (last_ping_ && now - *last_ping_ < *watchdog_interval_ / 2)) return {};
  last_ping_ = now;
  return tell("WATCHDOG=1");
}

Result<void> ServiceNotify::hold(const std::string& name, int fd) {
  if (auto valid = check_name(name); !valid) return valid;
  // FDPOLL=0: it is kept also while an error waits on it.
  const std::string assignments = "FDSTORE=1\nFDPOLL=0\nFDNAME=" + name;
  const int outcome = sd_pid_notify_with_fds(0, 0, assignments.c_str(), &fd, 1);
  if (outcome < 0) return fail_errno(-outcome, "cannot give descriptor " + name + " to the service manager");
  return {};
}

Result<void> ServiceNotify::release(const std::string& name) {
  if (auto valid = check_name(name); !valid) return valid;
  return tell("FDSTOREREMOVE=1\nFDNAME=" + name);
}

Result<std::vector<HeldDescriptor>> ServiceNotify::take_held() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  if (count < 0) return fail_errno(-count, "cannot take descriptors from the service manager");
  std::vector<HeldDescriptor> held;
  for (int index = 0; index < count; ++index) {
    held.push_back({names[index], FileDescriptor(SD_LISTEN_FDS_START + index)});
    std::free(names[index]);
  }
  std::free(names);
  return held;
}

}  // namespace namewall::agent
