// A control socket that says what a test wants, byte by byte; every connection is handed to `handle` in a thread.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace namewall::libnamewall_tests {

// Headers with their empty line, and the body that they announce.
inline std::string read_request(int connection) {
  std::string request;
  char block[4096];
  for (;;) {
    const std::size_t head = request.find("\r\n\r\n");
    if (head != std::string::npos) {
      const std::size_t length = request.find("Content-Length: ");
      if (length == std::string::npos || request.size() >= head + 4 + std::stoul(request.substr(length + 16))) break;
    }
    const ssize_t got = ::recv(connection, block, sizeof block, 0);
    if (got <= 0) break;
    request.append(block, static_cast<std::size_t>(got));
  }
  return request;
}

inline void say(int connection, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

inline std::string answer(int status, std::string_view body, std::string_view headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Words\r\nContent-Type: application/json\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// Until the client has closed.
inline void wait_for_end(int connection) {
  char byte = 0;
  while (::recv(connection, &byte, 1, 0) > 0) {
  }
}

class FakeControlSocket {
 public:
  using Handler = std::function<void(int connection, const std::string& request)>;

  explicit FakeControlSocket(Handler handle) : handle_(std::move(handle)) {
    char name[] = "/tmp/namewall-libnw-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = directory_ + "/control.sock";
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size());
    (void)::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    (void)::listen(listener_, 16);
    thread_ = std::thread([this] { serve(); });
  }
  // One whole answer to each request.
  explicit FakeControlSocket(const std::string& whole)
      : FakeControlSocket([whole](int connection, const std::string&) { say(connection, whole); }) {}
  ~FakeControlSocket() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    std::filesystem::remove_all(directory_);
  }
  FakeControlSocket(const FakeControlSocket&) = delete;
  FakeControlSocket& operator=(const FakeControlSocket&) = delete;

  const char* path() const { return path_.c_str(); }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    for (;;) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      const std::string request = read_request(connection);
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      handle_(connection, request);
      ::close(connection);
    }
  }

  Handler handle_;
  std::string directory_, path_;
  int listener_ = -1;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

inline constexpr std::string_view kNarrowed =
    R"({"workload":"web:restrict-1","cgroup":"/web/r1","cgroup_id":4711,"state":"enforcing","why":[],)"
    R"("without_effect":["https://b.example: the parent does not allow it"],"cooperative":false,"depth":2})";

}  // namespace namewall::libnamewall_tests
