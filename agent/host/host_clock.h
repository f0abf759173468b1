// The clocks, read at the edge: everything below takes the time as an argument.
#pragma once

#include "policy/boot_time.h"

namespace namewall::agent {

BootTime boot_now();
Nanoseconds utc_now();      // since the epoch
Nanoseconds utc_at_boot();  // utc_now() - boot_now(), now: the wall clock may be set

}  // namespace namewall::agent
