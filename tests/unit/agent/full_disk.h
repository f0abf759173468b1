// While it lives, no file of this process grows beyond `bytes`: writes fail or fall short, as on a full disk.
#pragma once

#include <signal.h>
#include <sys/resource.h>

namespace namewall::agent {

class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    before_signal_ = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, before_signal_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  sighandler_t before_signal_ = SIG_DFL;
};

}  // namespace namewall::agent
