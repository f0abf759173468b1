// An epoll instance whose descriptors are known by numbers of the caller's choice.
#pragma once

#include <sys/epoll.h>

#include <cerrno>
#include <cstdint>
#include <span>

#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class Poller {
 public:
  static Result<Poller> open() {
    Poller poller;
    poller.fd_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!poller.fd_) return fail_errno(errno, "cannot make an epoll instance");
    return poller;
  }

  int fd() const { return fd_.get(); }
  bool add(int fd, std::uint64_t number, std::uint32_t events) { return control(EPOLL_CTL_ADD, fd, number, events); }
  bool change(int fd, std::uint64_t number, std::uint32_t events) { return control(EPOLL_CTL_MOD, fd, number, events); }
  // Before the descriptor is closed: a copy of it elsewhere (held sockets) would keep it here.
  void remove(int fd) { (void)control(EPOLL_CTL_DEL, fd, 0, 0); }
  // What is ready now.
  std::span<const epoll_event> ready(std::span<epoll_event> room) {
    const int count = ::epoll_wait(fd_.get(), room.data(), static_cast<int>(room.size()), 0);
    return room.first(count > 0 ? static_cast<std::size_t>(count) : 0);
  }

 private:
  Poller() = default;
  bool control(int operation, int fd, std::uint64_t number, std::uint32_t events) {
    epoll_event interest{};
    interest.events = events;
    interest.data.u64 = number;
    return ::epoll_ctl(fd_.get(), operation, fd, &interest) == 0;
  }
  FileDescriptor fd_;
};

}  // namespace namewall::agent
