// libmicrohttpd inside another loop: it is given connections instead of listening, and waits for nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "agent/control/reply.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::agent {

// What happens on one connection; one request at a time, in this order. Owned by whoever added it, until closed().
class HttpConnection {
 public:
  virtual ~HttpConnection() = default;
  virtual void request_began(std::string_view target) = 0;  // as written, query and all
  // Before any of the body. An answer here ends the connection if a body was announced.
  virtual std::optional<Reply> headers_read(std::string_view method, std::size_t header_bytes,
                                            std::optional<std::uint64_t> body_bytes) = 0;
  virtual bool body_part(std::string_view bytes) = 0;  // false: close the connection
  virtual Reply answer() = 0;
  virtual void request_ended() = 0;  // answered or broken off
  virtual void closed() = 0;         // the last call
};

class HttpDaemon {
 public:
  struct Options {
    unsigned connections;
    std::size_t header_bytes;
    std::chrono::milliseconds idle_time;  // whole seconds; without a byte either way
  };

  static Result<HttpDaemon> start(const Options& options);
  HttpDaemon(HttpDaemon&&) noexcept;
  HttpDaemon& operator=(HttpDaemon&&) noexcept;
  ~HttpDaemon();  // every connection is closed()

  int fd() const;
  std::optional<std::chrono::milliseconds> timeout() const;
  void run();

  // Calls of `connection` begin with a later run(). On failure it is not taken and the descriptor is closed.
  Result<void> add(FileDescriptor fd, HttpConnection& connection);
  // Its body source has something again; nothing happens unless it was waiting (BodySource::State::kWait).
  void wake(HttpConnection& connection);

 private:
  struct State;
  explicit HttpDaemon(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace namewall::agent
