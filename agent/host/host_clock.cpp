#include "agent/host/host_clock.h"

#include <time.h>

namespace namewall::agent {
namespace {

Nanoseconds read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

}  // namespace

BootTime boot_now() { return BootTime{read_clock(CLOCK_BOOTTIME)}; }
Nanoseconds utc_now() { return read_clock(CLOCK_REALTIME); }
Nanoseconds utc_at_boot() { return read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME); }

}  // namespace namewall::agent
