#include "agent/host/helper_channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace namewall::agent {
namespace {

union ControlRoom {
  cmsghdr alignment;
  std::array<char, CMSG_SPACE(sizeof(int) * kMaxPassedDescriptors)> bytes;
};

void take_descriptors(const msghdr& header, std::vector<FileDescriptor>& descriptors) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&header), part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
}

template <typename Message>
ReceiveOutcome receive(int channel, Received<Message>& received) {
  received.descriptors.clear();
  ControlRoom control{};
  iovec place{&received.message, sizeof received.message};
  msghdr header{};
  header.msg_iov = &place;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  ssize_t length = 0;
  while ((length = recvmsg(channel, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC)) < 0 && errno == EINTR) {
  }
  if (length < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? ReceiveOutcome::kNothingWaits : ReceiveOutcome::kClosed;
  if (length == 0) return ReceiveOutcome::kClosed;
  take_descriptors(header, received.descriptors);
  const bool whole = static_cast<std::size_t>(length) == sizeof(Message) && (header.msg_flags & MSG_CTRUNC) == 0;
  return whole ? ReceiveOutcome::kMessage : ReceiveOutcome::kMalformed;
}

template <typename Message>
Result<void> send_message(int channel, const Message& message, std::span<const int> descriptors, int flags) {
  ControlRoom control{};
  iovec place{const_cast<Message*>(&message), sizeof message};
  msghdr header{};
  header.msg_iov = &place;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control.bytes.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
  }
  while (sendmsg(channel, &header, MSG_NOSIGNAL | flags) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return fail(ErrorKind::kLimit, "the privileged helper does not keep up");
    }
    return fail_errno(errno, "cannot write to the privileged helper's channel");
  }
  return {};
}

}  // namespace

ReceiveOutcome receive_request(int channel, Received<HelperRequest>& request) { return receive(channel, request); }
ReceiveOutcome receive_answer(int channel, Received<HelperAnswer>& answer) { return receive(channel, answer); }

Result<void> send_request(int channel, const HelperRequest& request, std::span<const int> descriptors) {
  return send_message(channel, request, descriptors, MSG_DONTWAIT);
}
Result<void> send_answer(int channel, const HelperAnswer& answer, std::span<const int> descriptors) {
  return send_message(channel, answer, descriptors, 0);
}

}  // namespace namewall::agent
