#include "agent/proxy/datagram_place.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace namewall::agent {
namespace {

constexpr std::size_t kMaxQueued = 64;
constexpr std::size_t kKeptBytes = 256 << 10;  // of a burst of large answers no more stays allocated

std::uint32_t mark_of(const msghdr& header) {
  // CMSG_NXTHDR reads what the kernel wrote; the header it takes is not changed.
  auto& message = const_cast<msghdr&>(header);
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SO_MARK) continue;
    std::uint32_t mark = 0;
    std::memcpy(&mark, CMSG_DATA(control), sizeof mark);
    return mark;
  }
  return 0;
}

}  // namespace

struct DatagramBatch::Buffers {
  std::array<mmsghdr, kSize> headers{};
  std::array<iovec, kSize> parts{};
  std::array<SocketEndpoint, kSize> senders;
  std::array<std::array<std::uint8_t, kMaxLength>, kSize> bytes;
  struct alignas(cmsghdr) Control {
    std::array<char, CMSG_SPACE(sizeof(std::uint32_t))> bytes;
  };
  std::array<Control, kSize> controls;
  std::array<Datagram, kSize> datagrams;
  std::size_t used = kSize;  // headers that the kernel wrote to: only these are made ready again

  void make_ready() {
    for (mmsghdr& header : std::span(headers).first(used)) {
      header.msg_hdr.msg_namelen = sizeof(SocketEndpoint);
      header.msg_hdr.msg_controllen = sizeof(Control);
    }
  }
};

DatagramBatch::DatagramBatch() : buffers_(std::make_unique<Buffers>()) {
  for (std::size_t i = 0; i < kSize; ++i) {
    buffers_->parts[i] = {buffers_->bytes[i].data(), kMaxLength};
    msghdr& header = buffers_->headers[i].msg_hdr;
    header.msg_iov = &buffers_->parts[i];
    header.msg_iovlen = 1;
    header.msg_name = &buffers_->senders[i];
    header.msg_control = buffers_->controls[i].bytes.data();
  }
}

DatagramBatch::~DatagramBatch() = default;

DatagramPlace::DatagramPlace(FileDescriptor udp) : udp_(std::move(udp)) {}

std::span<const Datagram> DatagramPlace::receive(DatagramBatch& batch) {
  DatagramBatch::Buffers& buffers = *batch.buffers_;
  buffers.make_ready();
  const int count = ::recvmmsg(udp_.get(), buffers.headers.data(), DatagramBatch::kSize, MSG_DONTWAIT, nullptr);
  // The one behind those that were filled was prepared for, and may have been written to.
  buffers.used = std::min(static_cast<std::size_t>(std::max(count, 0)) + 1, DatagramBatch::kSize);
  std::size_t taken = 0;
  for (int i = 0; i < count; ++i) {
    const std::size_t at = static_cast<std::size_t>(i);
    const mmsghdr& header = buffers.headers[at];
    const sa_family_t family = buffers.senders[at].any.sa_family;
    if (header.msg_hdr.msg_namelen == 0 || (family != AF_INET && family != AF_INET6)) continue;
    Datagram& datagram = buffers.datagrams[taken++];
    datagram.sender = buffers.senders[at];
    datagram.mark = mark_of(header.msg_hdr);
    datagram.message = std::span(buffers.bytes[at]).first(header.msg_len);
  }
  return std::span(buffers.datagrams).first(taken);
}

void DatagramPlace::queue_reply(std::uint64_t token, std::span<const std::uint8_t> message) {
  const auto to = senders_.sender_of(token);
  if (!to) {
    ++lost_replies_;
    return;
  }
  if (replies_.size() == kMaxQueued) flush();
  replies_.push_back({*to, bytes_.size(), message.size()});
  bytes_.insert(bytes_.end(), message.begin(), message.end());
}

void DatagramPlace::flush() {
  std::array<mmsghdr, kMaxQueued> headers;  // as many are filled as there are replies
  std::array<iovec, kMaxQueued> parts;
  const std::size_t count = replies_.size();
  for (std::size_t i = 0; i < count; ++i) {
    parts[i] = {bytes_.data() + replies_[i].offset, replies_[i].length};
    headers[i] = {};
    headers[i].msg_hdr.msg_name = &replies_[i].to;
    headers[i].msg_hdr.msg_namelen = replies_[i].to.length();
    headers[i].msg_hdr.msg_iov = &parts[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  for (std::size_t sent = 0; sent < count;) {
    const int now =
        ::sendmmsg(udp_.get(), headers.data() + sent, static_cast<unsigned>(count - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (now > 0) {
      sent += static_cast<std::size_t>(now);
    } else if (now == 0 || errno != EINTR) {  // the first of them cannot be sent: its client asks again
      ++lost_replies_;
      ++sent;
    }
  }
  replies_.clear();
  bytes_.clear();
  if (bytes_.capacity() > kKeptBytes) bytes_ = {};
}

}  // namespace namewall::agent
