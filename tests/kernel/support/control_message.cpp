#include "tests/kernel/support/control_message.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace namewall::kernel_tests {
namespace {

constexpr std::size_t kMaxControl = 512;

struct Message {
  std::byte byte{'x'};
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, kMaxControl> control{};
  msghdr header{};

  Message() {
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(sizeof(int));
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  void set(const ControlMessage& message) {
    header.msg_controllen = CMSG_SPACE(message.data.size());
    cmsghdr* first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = message.level;
    first->cmsg_type = message.type;
    first->cmsg_len = CMSG_LEN(message.data.size());
    std::memcpy(CMSG_DATA(first), message.data.data(), message.data.size());
  }
};

}  // namespace

int send_with_control(int socket, const SocketAddress& to, std::span<const std::byte> bytes,
                      const ControlMessage& control) {
  SocketAddress target = to;
  Message message;
  message.part = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  message.header.msg_name = target.get();
  message.header.msg_namelen = target.length;
  message.set(control);
  return sendmsg(socket, &message.header, 0) < 0 ? errno : 0;
}

int send_from(int socket, const Address& source, const SocketAddress& to, std::span<const std::byte> bytes) {
  in_pktinfo info{};
  std::memcpy(&info.ipi_spec_dst, source.v4_bytes().data(), 4);
  return send_with_control(socket, to, bytes, {IPPROTO_IP, IP_PKTINFO, std::as_bytes(std::span(&info, 1))});
}

bool pass_socket(int channel, int socket) {
  Message message;
  message.set({SOL_SOCKET, SCM_RIGHTS, std::as_bytes(std::span(&socket, 1))});
  return sendmsg(channel, &message.header, 0) == 1;
}

OwnedFd receive_socket(int channel) {
  Message message;
  int socket = -1;
  if (recvmsg(channel, &message.header, 0) == 1 && CMSG_FIRSTHDR(&message.header) != nullptr) {
    std::memcpy(&socket, CMSG_DATA(CMSG_FIRSTHDR(&message.header)), sizeof(socket));
  }
  return OwnedFd(socket);
}

}  // namespace namewall::kernel_tests
