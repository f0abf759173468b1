// Runs code inside a cgroup: a forked child that enters it before it makes any socket.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>

#include "tests/kernel/support/owned_fd.h"
#include "tests/kernel/support/throwaway_cgroup.h"

namespace namewall::kernel_tests {

// Lets parent and child take turns: the child arrives and waits, the parent waits for it and lets it go on.
class Rendezvous {
 public:
  Rendezvous();
  // In the child.
  void arrive_and_wait();
  // In the parent. False: the child did not arrive in time.
  bool await_arrival(std::chrono::milliseconds timeout = std::chrono::seconds(10));
  void release();

 private:
  OwnedFd arrivals_read_, arrivals_write_, releases_read_, releases_write_;
};

class WorkloadProcess {
 public:
  // `body` runs in the child; what it returns comes back from wait(). Nothing of the test's memory is shared.
  WorkloadProcess(const ThrowawayCgroup& cgroup, const std::function<std::string()>& body);
  WorkloadProcess(WorkloadProcess&& other) noexcept;
  ~WorkloadProcess();  // kills what still runs

  pid_t pid() const { return pid_; }
  // The body's result. A crash or a timeout is a test failure, and "".
  std::string wait(std::chrono::milliseconds timeout = std::chrono::seconds(30));

 private:
  pid_t pid_ = -1;
  OwnedFd result_;
};

// Runs `body` in the cgroup and returns its result: a string or a trivially copyable value.
template <typename F>
auto in_cgroup(const ThrowawayCgroup& cgroup, F body, std::chrono::milliseconds timeout = std::chrono::seconds(30))
    -> std::invoke_result_t<F> {
  using Value = std::invoke_result_t<F>;
  if constexpr (std::is_void_v<Value>) {
    WorkloadProcess(cgroup, [&body] { return body(), std::string("done"); }).wait(timeout);
  } else if constexpr (std::is_same_v<Value, std::string>) {
    return WorkloadProcess(cgroup, body).wait(timeout);
  } else {
    static_assert(std::is_trivially_copyable_v<Value>);
    const std::string bytes = WorkloadProcess(cgroup, [&body] {
                                const Value value = body();
                                return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
                              }).wait(timeout);
    Value value{};
    if (bytes.size() == sizeof(value))
      std::memcpy(&value, bytes.data(), sizeof(value));
    else
      ADD_FAILURE() << "the workload process returned " << bytes.size() << " bytes";
    return value;
  }
}

}  // namespace namewall::kernel_tests
