#include "agent/host/event_loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "agent/host/host_clock.h"

namespace namewall::agent {
namespace {

// A wait that was shorter may have been none: what it found was ready when it began.
constexpr Nanoseconds kWaited = std::chrono::microseconds(100);

}  // namespace

Result<EventLoop> EventLoop::open() {
  EventLoop loop;
  loop.poller_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop.poller_) return fail_errno(errno, "cannot make the event loop");
  return loop;
}

Result<void> EventLoop::watch(int fd, std::function<void()> ready) {
  if (watched_.contains(fd)) return {};
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.fd = fd;
  if (::epoll_ctl(poller_.get(), EPOLL_CTL_ADD, fd, &interest) != 0) {
    return fail_errno(errno, "cannot watch a descriptor in the event loop");
  }
  watched_[fd] = std::move(ready);
  return {};
}

void EventLoop::unwatch(int fd) {
  if (watched_.erase(fd) != 0) ::epoll_ctl(poller_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::every(Nanoseconds interval, std::function<void(BootTime)> task) {
  tasks_.push_back({interval, boot_now() + interval, std::move(task)});
}

Result<Nanoseconds> EventLoop::turn(Nanoseconds longest) {
  const BootTime before = boot_now();
  Nanoseconds wait = std::max(longest, Nanoseconds::zero());
  for (const Task& task : tasks_) wait = std::clamp(task.next - before, Nanoseconds::zero(), wait);
  std::array<epoll_event, 64> ready{};
  const auto wait_for = [&](Nanoseconds time) {
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(time).count();
    return ::epoll_wait(poller_.get(), ready.data(), static_cast<int>(ready.size()), static_cast<int>(milliseconds));
  };
  const int count = wait_for(wait);
  if (count < 0 && errno != EINTR) return fail_errno(errno, "cannot wait in the event loop");
  const BootTime begin = boot_now();
  ready_since_ = begin - before >= kWaited ? begin : woken_;
  woken_ = begin;
  for (int i = 0; i < count; ++i) {
    // A handler may have unwatched it; one that unwatches itself lives on until it returns.
    const auto found = watched_.find(ready[static_cast<std::size_t>(i)].data.fd);
    if (found == watched_.end()) continue;
    const auto handler = found->second;
    handler();
  }
  for (Task& task : tasks_) {
    const BootTime now = boot_now();
    if (now < task.next) continue;
    task.next = now + task.interval;
    task.run(now);
  }
  return boot_now() - begin;
}

}  // namespace namewall::agent
