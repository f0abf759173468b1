// The daemon's control socket: HTTP/1.1 with JSON on a unix socket (docs/openapi.json), served inside the caller's
// loop. Everything a client can make it keep is bounded (control_limits.h); a slow or hostile one delays no other.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/control/access.h"
#include "agent/control/control_limits.h"
#include "agent/control/peer_identity.h"
#include "agent/host/host.h"
#include "policy/result.h"

namespace namewall::agent {

class ControlServer {
 public:
  struct Options {
    std::string path = "/run/namewall/control.sock";
    // A listening socket to take over instead of making one at `path` (socket activation, the descriptor store).
    std::optional<int> listening_fd;
    AccessRules access;
    ControlLimits limits;
    const PeerSource* peers = nullptr;  // nullptr: the kernel
  };

  // `host` outlives the server. kConflict: a living daemon serves `path`.
  static Result<ControlServer> open(const Options& options, Host& host);
  ControlServer(ControlServer&&) noexcept;
  ControlServer& operator=(ControlServer&&) noexcept;
  ~ControlServer();  // closes the connections; the socket file stays, so that the next daemon takes its place
                     // atomically

  int fd() const;            // readable when serve() has something to do
  int timeout_ms() const;    // serve() is due after that long at the latest; -1: never
  void serve();              // never waits
  int listening_fd() const;  // for the descriptor store

 private:
  struct Loop;
  explicit ControlServer(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace namewall::agent
