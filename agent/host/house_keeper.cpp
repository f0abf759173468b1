#include "agent/host/house_keeper.h"

#include <signal.h>

#include <chrono>

namespace namewall::agent {
namespace {

constexpr std::chrono::seconds kAtLeastEach{5};  // children of templates take spare tables without telling

}  // namespace

HouseKeeper::HouseKeeper(HostBackend& enforcer) : enforcer_(enforcer) {
  // Signals are the loop's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

HouseKeeper::~HouseKeeper() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  news_.notify_one();
  thread_.join();
}

void HouseKeeper::wake() {
  {
    const std::lock_guard lock(mutex_);
    has_work_ = true;
  }
  news_.notify_one();
}

std::string HouseKeeper::last_error() {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

void HouseKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    news_.wait_for(lock, kAtLeastEach, [this] { return has_work_ || ends_; });
    if (ends_) return;
    has_work_ = false;
    lock.unlock();
    const auto done = enforcer_.keep_house();
    lock.lock();
    last_error_ = done ? "" : done.error().message();
  }
}

}  // namespace namewall::agent
