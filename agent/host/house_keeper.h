// The thread that does what may wait for the kernel: spare tables, rules that nobody uses any more.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "policy/backend.h"

namespace namewall::agent {

class HouseKeeper {
 public:
  explicit HouseKeeper(HostBackend& enforcer);
  ~HouseKeeper();
  HouseKeeper(const HouseKeeper&) = delete;

  // There is something to do: a workload was armed, or replaced.
  void wake();
  std::string last_error();  // "": the last time went well

 private:
  void run();

  HostBackend& enforcer_;
  std::mutex mutex_;
  std::condition_variable news_;
  bool has_work_ = true, ends_ = false;
  std::string last_error_;
  std::thread thread_;
};

}  // namespace namewall::agent
