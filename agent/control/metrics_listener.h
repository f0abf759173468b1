// The optional listener for Prometheus: GET /metrics by HTTP on a loopback address, nothing else. It tells no secrets
// and takes no input, since any process of the host can connect. At its bound the oldest connection gives way.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "policy/result.h"

namespace namewall::agent {

inline constexpr std::size_t kMaxMetricsConnections = 16;
inline constexpr std::chrono::seconds kMetricsConnectionTime{10};

class MetricsListener {
 public:
  // `endpoint`: "127.0.0.1:9464", "[::1]:9464"; port 0 takes any free one. kInvalid: not a loopback address with a
  // port. kConflict: in use.
  static Result<MetricsListener> open(const std::string& endpoint, std::function<std::string()> metrics);
  MetricsListener(MetricsListener&&) noexcept;
  MetricsListener& operator=(MetricsListener&&) noexcept;
  ~MetricsListener();

  int fd() const;                // readable when serve() has something to do
  int timeout_ms() const;        // serve() is due after that long at the latest; -1: never
  void serve();                  // never waits
  std::string endpoint() const;  // with the port that was taken

 private:
  struct Loop;
  explicit MetricsListener(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace namewall::agent
