// The answer that the agent gives to a question the kernel refused, so that resolvers which ignore a failed send (musl,
// dig) stop at once: built from the refused packet, sent by a raw socket from the packet's wire destination.
#pragma once

#include <memory>
#include <string>

#include "agent/refusal_packet.h"
#include "agent/refusal_words.h"
#include "policy/event.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

// Whether the event is of a question that the agent answers: one that the kernel refused by its name.
bool wants_answer(const Event& event);

// What answering in one network namespace needs, opened there. May be passed to another process.
struct RefusalSockets {
  struct Outlet {
    FileDescriptor raw;            // IPPROTO_RAW
    FileDescriptor nonlocal_bind;  // the sysctl; it shows the namespace of the thread that opened it
  };
  Outlet v4;
  Outlet v6;  // empty where the host has no IPv6
};

// Of the calling thread's namespace. kPermission without CAP_NET_RAW.
Result<RefusalSockets> open_refusal_sockets();

// Sends such answers within one network namespace.
class RefusalAnswerer {
 public:
  // In the calling thread's namespace.
  static Result<RefusalAnswerer> open();
  // In the namespace of these sockets. kUnsupported: the kernel does not tell which that is (SO_NETNS_COOKIE).
  static Result<RefusalAnswerer> adopt(RefusalSockets sockets);
  RefusalAnswerer(RefusalAnswerer&&) noexcept;
  RefusalAnswerer& operator=(RefusalAnswerer&&) noexcept;
  ~RefusalAnswerer();

  // Answers to the packet's own source, and only when that address is local here: a workload that puts a foreign source
  // into its question would otherwise have the agent send to another host. Errors, none of them worth a message:
  // kInvalid, no well-formed question; kConflict, the event is of another network namespace or its source is not local;
  // kLimit, older than kMaxAge: nobody waits for it any more; kUnsupported, net.ipv*.ip_nonlocal_bind = 1 makes "local"
  // unprovable; kSystem.
  Result<void> answer(const Event& event, const RefusalWords& words, BootTime now);
  std::uint64_t netns_cookie() const;

  static constexpr Nanoseconds kMaxAge = std::chrono::seconds(2);

 private:
  struct State;
  explicit RefusalAnswerer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
