// Waits for the privileged helper as the daemon's loop does, until a callback has been called.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "agent/host/privileged_helper.h"
#include "tests/kernel/support/workload_test.h"

namespace namewall::kernel_tests {

// False: `done` did not become true in time.
inline bool turn_until(agent::PrivilegedHelper& helper, const std::function<bool()>& done,
                       std::chrono::milliseconds timeout = std::chrono::seconds(8)) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    pollfd ready{helper.fd(), POLLIN, 0};
    if (poll(&ready, 1, 10) == 1) helper.read_answers();
    helper.expire(boot_now());
  }
  return true;
}

// The answer to one request; `ask` gets the callback.
template <typename T>
Result<T> answer_of(agent::PrivilegedHelper& helper, const std::function<void(agent::PrivilegedHelper::Done<T>)>& ask) {
  auto answer = std::make_shared<std::optional<Result<T>>>();
  ask([answer](Result<T> result) { answer->emplace(std::move(result)); });
  if (!turn_until(helper, [&] { return answer->has_value(); })) {
    return fail(ErrorKind::kSystem, "the callback was not called");
  }
  return std::move(**answer);
}

// A helper that has started, or a failure of the test.
inline agent::PrivilegedHelper start_helper() {
  auto helper = agent::PrivilegedHelper::start();
  if (!helper) {
    ADD_FAILURE() << helper.error().message();
    std::abort();
  }
  return std::move(*helper);
}

}  // namespace namewall::kernel_tests
