#include "agent/proxy/stream_frames.h"

#include <cstring>

namespace namewall::agent {
namespace {

constexpr std::size_t kPrefix = 2;
constexpr std::size_t kRoom = 2 * (kPrefix + FrameReader::kMaxMessage);

}  // namespace

std::span<std::uint8_t> FrameReader::room() {
  if (bytes_.empty()) bytes_.resize(kRoom);
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ > kRoom / 2) {
    std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return std::span(bytes_).subspan(end_);
}

std::optional<std::span<const std::uint8_t>> FrameReader::next() {
  if (is_broken_ || end_ - begin_ < kPrefix) return std::nullopt;
  const std::size_t length = static_cast<std::size_t>(bytes_[begin_]) << 8 | bytes_[begin_ + 1];
  if (length > kMaxMessage) {
    is_broken_ = true;
    return std::nullopt;
  }
  if (end_ - begin_ < kPrefix + length) return std::nullopt;
  const std::span<const std::uint8_t> message(bytes_.data() + begin_ + kPrefix, length);
  begin_ += kPrefix + length;
  return message;
}

void FrameWriter::add(std::span<const std::uint8_t> message) {
  bytes_.push_back(static_cast<std::uint8_t>(message.size() >> 8));
  bytes_.push_back(static_cast<std::uint8_t>(message.size()));
  bytes_.insert(bytes_.end(), message.begin(), message.end());
}

void FrameWriter::sent(std::size_t count) {
  sent_ += count;
  if (sent_ == bytes_.size()) {
    bytes_ = {};  // a connection that is idle holds no memory
    sent_ = 0;
  } else if (sent_ > bytes_.size() / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
}

}  // namespace namewall::agent
