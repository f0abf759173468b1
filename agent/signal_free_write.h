// write(2) that raises neither SIGPIPE (the reader is gone) nor SIGTTOU (`stty tostop`, and namewall is in the
// background of CMD), whatever the process does with these signals.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace namewall::agent {

// As write(2), EINTR retried.
ssize_t write_without_signals(int fd, std::string_view bytes);

}  // namespace namewall::agent
