// A client that sends exactly the bytes it is told to, and what comes back.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "policy/file_descriptor.h"

namespace namewall::agent {

struct HttpAnswer {
  int status = 0;
  std::string header;
  std::string body;
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
  std::string error_code() const {
    const nlohmann::json parsed = json();
    return parsed.is_object() && parsed.contains("error") ? parsed["error"].value("code", "") : "no error: " + body;
  }
};

class RawClient {
 public:
  static constexpr int kPatience = 8000;  // ms; longer than anything these tests wait for

  explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  explicit RawClient(FileDescriptor connected) : fd_(std::move(connected)), connected_(true) {}

  bool is_connected() const { return connected_; }
  // false: the other end is closed, or takes nothing more for a while.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      pollfd ready{fd_.get(), POLLOUT, 0};
      if (::poll(&ready, 1, kPatience) <= 0) return false;
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // What has come up to and with `end`; nullopt: the connection ended before.
  std::optional<std::string> read_until(const std::string& end) {
    std::size_t at = 0;
    while ((at = received_.find(end)) == std::string::npos) {
      if (!receive()) return std::nullopt;
    }
    return take(at + end.size());
  }

  std::optional<HttpAnswer> read_answer(bool has_body = true) {
    HttpAnswer answer;
    const auto header = read_until("\r\n\r\n");
    if (!header || header->size() < 12) return std::nullopt;
    answer.header = *header;
    answer.status = std::atoi(header->substr(9, 3).c_str());
    if (!has_body || answer.status == 204) return answer;
    if (header->find("chunked") != std::string::npos) {
      while (const auto chunk = read_chunk()) {
        if (chunk->empty()) return answer;
        answer.body += *chunk;
      }
      return std::nullopt;
    }
    const std::size_t length = header->find("Content-Length: ");
    const std::size_t size = length == std::string::npos ? 0 : std::strtoul(header->c_str() + length + 16, nullptr, 10);
    while (received_.size() < size) {
      if (!receive()) return std::nullopt;
    }
    answer.body = take(size);
    return answer;
  }

  // "": the last one.
  std::optional<std::string> read_chunk() {
    const auto line = read_until("\r\n");
    if (!line) return std::nullopt;
    const std::size_t size = std::strtoul(line->c_str(), nullptr, 16);
    while (received_.size() < size + 2) {
      if (!receive()) return std::nullopt;
    }
    std::string chunk = take(size);
    take(2);
    return chunk;
  }

  // true: closed by the other end, within `patience` ms; what comes before it is kept.
  bool is_closed(int patience = kPatience) {
    while (receive(patience)) {
    }
    return ended_;
  }

 private:
  bool receive(int patience = kPatience) {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (::poll(&ready, 1, patience) <= 0) return false;
    char block[16384];
    const ssize_t count = ::recv(fd_.get(), block, sizeof block, 0);
    ended_ = count <= 0;
    if (ended_) return false;
    received_.append(block, static_cast<std::size_t>(count));
    return true;
  }
  std::string take(std::size_t size) {
    std::string taken = received_.substr(0, size);
    received_.erase(0, size);
    return taken;
  }

  FileDescriptor fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string received_;
};

// A whole request. `body` nullptr: none.
inline std::string http_request(const std::string& method, const std::string& target,
                                const std::string* body = nullptr) {
  std::string text = method + " " + target + " HTTP/1.1\r\nHost: namewall\r\n";
  if (body != nullptr) text += "Content-Length: " + std::to_string(body->size()) + "\r\n";
  return text + "\r\n" + (body != nullptr ? *body : "");
}

}  // namespace namewall::agent
