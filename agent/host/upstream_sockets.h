// Sockets towards resolvers in network namespaces that the daemon may not enter: made ahead by the helper, so that
// asking a resolver never waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "agent/host/privileged_helper.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

class UpstreamSockets {
 public:
  // What is kept ready in each namespace: the channels of two resolvers, and some TCP. Half of it gone: more is made.
  static constexpr SocketCounts kReady{8, 4, 8, 4};

  // `helper` outlives this.
  explicit UpstreamSockets(PrivilegedHelper& helper);

  // Makes the first ones; `ready` is called once, with what went wrong if something did. `netns` stays open until
  // close().
  void open(std::uint64_t cookie, FileDescriptor netns, std::function<void(Result<void>)> ready);
  // kLimit: none is left, and more are on their way. kNotFound: open() was not called.
  Result<FileDescriptor> take(std::uint64_t cookie, int family, int type);
  void close(std::uint64_t cookie);
  bool has(std::uint64_t cookie) const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // answers of the helper may come after the end
};

}  // namespace namewall::agent
