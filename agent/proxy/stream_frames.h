// DNS messages on a byte stream: two bytes of length in front of each (RFC 1035 section 4.2.2, RFC 7766). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace namewall::agent {

// Messages out of bytes as they arrive.
class FrameReader {
 public:
  static constexpr std::size_t kMaxMessage = 4096;  // of a question; parse_question takes less

  // Room for the next bytes: never empty unless a whole message waits or is_broken(). added() says how many came.
  std::span<std::uint8_t> room();
  void added(std::size_t count) { end_ += count; }
  // The next whole message; good until the next room().
  std::optional<std::span<const std::uint8_t>> next();
  bool is_broken() const { return is_broken_; }  // a message longer than kMaxMessage was announced
  bool is_empty() const { return begin_ == end_; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t begin_ = 0, end_ = 0;
  bool is_broken_ = false;
};

// Messages as bytes that leave in parts.
class FrameWriter {
 public:
  void add(std::span<const std::uint8_t> message);  // at most 65,535 bytes
  std::span<const std::uint8_t> unsent() const { return std::span(bytes_).subspan(sent_); }
  void sent(std::size_t count);

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t sent_ = 0;
};

}  // namespace namewall::agent
