// Asks the daemon: HTTP/1.1 over its control socket.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/command.h"

namespace namewall::agent {

inline constexpr const char* kDefaultControlSocket = "/run/namewall/control.sock";
inline constexpr std::size_t kMaxAnswer = 256u << 20;  // 10,000 workloads with all they tell are a tenth of it
inline constexpr std::size_t kMaxEventLine = 1u << 20;

// Why there is no answer, or what the daemon answered instead.
struct DaemonError {
  int exit_code = kExitOwnFailure;
  std::string sentence;
  bool is_no_daemon() const { return exit_code == kExitNoDaemon; }
};

template <typename T>
using Answer = tl::expected<T, DaemonError>;

tl::unexpected<DaemonError> to_daemon_error(const Error& error);

// One segment of a URL's path, or one value of its query.
std::string percent_encode(std::string_view text);

// The error in the body of an answer with this status, {"error": {"code", "sentence", "exit_code"}}; a body without one
// gets its exit code from the status.
DaemonError read_daemon_error(long http_status, const std::string& body);

class DaemonClient {
 public:
  // "": NAMEWALL_SOCKET, else kDefaultControlSocket. Nothing is opened yet.
  explicit DaemonClient(std::string socket_path);

  const std::string& socket_path() const { return socket_path_; }

  // The body of a 2xx answer. `target`: path and query, encoded. kExitNoDaemon: nobody listens there.
  // kExitNotPermitted: the socket is closed to this user. Gives up after 60 s.
  Answer<std::string> get(const std::string& target) const;
  // `body`: JSON, "" none. Not repeated on failure: the change may have been made.
  Answer<std::string> send(const std::string& method, const std::string& target, const std::string& body) const;

  // Lines as they come, without their end, until the daemon ends the stream or `handle` returns false (both no error).
  Answer<void> stream(const std::string& target, const std::function<bool(std::string_view line)>& handle) const;

 private:
  std::string socket_path_;
};

}  // namespace namewall::agent
