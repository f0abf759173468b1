#include "nft/transaction.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "nft/attribute.h"
#include "nft/kernel_abi.h"
#include "nft/message_writer.h"

namespace namewall::nft {
namespace {

constexpr std::size_t kReceiveSize = 64 * 1024;  // the kernel fills at most 32 KB of it at once
constexpr int kQueueRoom = 8 * 1024 * 1024;      // of errors, and of a dump
constexpr std::size_t kOverhead = 64 * 1024;     // of a message to be sent, beside its bytes
constexpr int kTries = 5;

bool is_momentary(int error) { return error == EINTR || error == EAGAIN || error == ENOBUFS || error == ENOMEM; }

void set_room(int socket, int forced, int plain, int bytes) {
  if (setsockopt(socket, SOL_SOCKET, forced, &bytes, sizeof(bytes)) == 0) return;
  (void)setsockopt(socket, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

std::size_t room_of(int socket, int option) {
  int bytes = 0;
  socklen_t size = sizeof(bytes);
  if (getsockopt(socket, SOL_SOCKET, option, &bytes, &size) != 0) return 0;
  return static_cast<std::size_t>(bytes);
}

// Of an NLMSG_ERROR: a positive errno, 0 for an acknowledgement.
int error_of(const nlmsghdr& message) { return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message))->error; }

// Where in its message the kernel's error is, in bytes (NLMSGERR_ATTR_OFFS).
std::optional<std::uint32_t> offset_of(const nlmsghdr& error) {
  constexpr std::size_t kTlvs = NLMSG_HDRLEN + sizeof(nlmsgerr);  // the message itself is cut to its header
  constexpr unsigned kFlags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
  if ((error.nlmsg_flags & kFlags) != kFlags || error.nlmsg_len < kTlvs) return std::nullopt;
  const AttributeRange tlvs({reinterpret_cast<const std::uint8_t*>(&error) + kTlvs, error.nlmsg_len - kTlvs});
  const auto offset = tlvs.find(NLMSGERR_ATTR_OFFS);
  if (!offset || offset->payload.size() != sizeof(std::uint32_t)) return std::nullopt;
  return be32toh(offset->u32());  // in the host's byte order
}

// The messages of a batch that was sent. Errors come in their order: the search goes on where it ended.
class SentMessages {
 public:
  explicit SentMessages(std::span<const std::uint8_t> bytes)
      : message_(reinterpret_cast<const nlmsghdr*>(bytes.data())), rest_(static_cast<int>(bytes.size())) {}

  // Which element of its message the error is about.
  std::optional<std::uint32_t> find_element(const nlmsghdr& error) {
    const auto offset = offset_of(error);
    if (!offset || !find(error.nlmsg_seq) || *offset >= message_->nlmsg_len) return std::nullopt;
    const auto list = attributes_of(*message_).find(NFTA_SET_ELEM_LIST_ELEMENTS);
    if (!list) return std::nullopt;
    const auto* culprit = reinterpret_cast<const std::uint8_t*>(message_) + *offset;
    std::uint32_t index = 0;
    for (const auto& element : list->nested()) {
      if (culprit < element.payload.data() - NLA_HDRLEN) break;
      if (culprit < element.payload.data() + element.payload.size()) return index;
      ++index;
    }
    return std::nullopt;
  }

 private:
  bool find(std::uint32_t sequence) {
    while (mnl_nlmsg_ok(message_, rest_) && message_->nlmsg_seq != sequence)
      message_ = mnl_nlmsg_next(message_, &rest_);
    return mnl_nlmsg_ok(message_, rest_);
  }
  const nlmsghdr* message_;
  int rest_;
};

Error error_in(int number, std::string what) { return fail_errno(number, std::move(what)).value(); }

}  // namespace

const MessageError* CommitResult::find(std::uint32_t sequence) const {
  const auto found = std::ranges::find(errors, sequence, &MessageError::sequence);
  return found == errors.end() ? nullptr : &*found;
}

bool CommitResult::has(int error) const {
  return std::ranges::find(errors, error, &MessageError::error) != errors.end();
}

std::string CommitResult::text() const {
  if (is_committed()) return "";
  if (errors.empty()) return "the kernel's answer was lost";
  std::string text = "message " + std::to_string(errors[0].sequence) + ": " + std::strerror(errors[0].error);
  if (errors.size() > 1) text += " (" + std::to_string(errors.size()) + " errors)";
  return text;
}

NftSocket::NftSocket(FileDescriptor socket, std::uint32_t port)
    : socket_(std::move(socket)), port_(port), buffer_(kReceiveSize) {
  set_room(socket_.get(), SO_RCVBUFFORCE, SO_RCVBUF, kQueueRoom);
  send_room_ = room_of(socket_.get(), SO_SNDBUF);
  const int on = 1;
  // An error names its message by its header alone, without the message, and where in it the trouble is.
  (void)setsockopt(socket_.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  (void)setsockopt(socket_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
}

Result<FileDescriptor> NftSocket::open_socket_here() {
  FileDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) {
    if (errno == EPROTONOSUPPORT) return fail(ErrorKind::kUnsupported, "this kernel has no netfilter netlink", errno);
    return fail_errno(errno, "open a netfilter netlink socket");
  }
  sockaddr_nl any{};
  any.nl_family = AF_NETLINK;
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) != 0) {
    return fail_errno(errno, "bind a netfilter netlink socket");
  }
  return socket;
}

Result<NftSocket> NftSocket::adopt(FileDescriptor socket) {
  sockaddr_nl own{};
  socklen_t size = sizeof(own);
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0 || own.nl_family != AF_NETLINK) {
    return fail_errno(errno, "read the port of a netlink socket");
  }
  NftSocket adopted(std::move(socket), own.nl_pid);
  if (const auto generation = adopted.generation(); !generation) {
    const int number = generation.error().error_number;
    if (number == EPERM) return fail(ErrorKind::kPermission, "nf_tables needs CAP_NET_ADMIN", number);
    if (number == EINVAL || number == EOPNOTSUPP) {
      return fail(ErrorKind::kUnsupported, "this kernel has no nf_tables", number);
    }
    return tl::unexpected(generation.error());
  }
  return adopted;
}

Result<NftSocket> NftSocket::open() {
  auto socket = open_socket_here();
  if (!socket) return tl::unexpected(socket.error());
  return adopt(std::move(*socket));
}

Result<void> NftSocket::send(std::span<const std::uint8_t> bytes) {
  if (bytes.size() + kOverhead > send_room_) {
    set_room(socket_.get(), SO_SNDBUFFORCE, SO_SNDBUF, static_cast<int>(bytes.size() + kOverhead));
    send_room_ = room_of(socket_.get(), SO_SNDBUF);
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  for (int tries = 0;; ++tries) {
    const auto sent = sendto(socket_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel),
                             sizeof(kernel));
    if (sent == static_cast<ssize_t>(bytes.size())) return {};
    const int number = sent < 0 ? errno : EIO;
    if (number == EMSGSIZE) {
      return fail(ErrorKind::kLimit, "send " + std::to_string(bytes.size()) + " bytes to nf_tables", number);
    }
    if (!is_momentary(number) || tries == kTries) return fail_errno(number, "send to nf_tables");
  }
}

Result<std::size_t> NftSocket::receive(int flags) {
  while (true) {
    const auto size = recv(socket_.get(), buffer_.data(), buffer_.size(), flags);
    if (size >= 0) return static_cast<std::size_t>(size);
    if (errno != EINTR) return fail_errno(errno, "receive from nf_tables");
  }
}

void NftSocket::take_answers(std::span<const std::uint8_t> sent, CommitResult& result) {
  SentMessages messages(sent);
  while (true) {
    const auto received = receive(MSG_DONTWAIT);
    if (!received) {
      if (received.error().error_number == ENOBUFS) {
        result.is_lost = true;
        continue;
      }
      return;
    }
    int rest = static_cast<int>(*received);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(message, rest);
         message = mnl_nlmsg_next(message, &rest)) {
      if (message->nlmsg_type != NLMSG_ERROR) continue;
      if (const int error = error_of(*message); error != 0) {
        result.errors.push_back({message->nlmsg_seq, error, messages.find_element(*message)});
      }
    }
  }
}

Result<CommitResult> NftSocket::commit(Batch& batch) {
  const auto bytes = batch.finish();
  for (int tries = 0;; ++tries) {
    CommitResult result;
    if (auto sent = send(bytes); !sent) return tl::unexpected(sent.error());
    take_answers(bytes, result);
    const bool is_whole = result.errors.size() == 1 && result.errors[0].sequence == batch.first_sequence();
    if (tries < kTries && is_whole && !result.is_lost && is_momentary(result.errors[0].error)) continue;
    return result;
  }
}

Result<void> NftSocket::send_request(std::span<const std::uint8_t> request, std::uint16_t flags) {
  std::vector<std::uint8_t> bytes(request.begin(), request.end());
  nlmsghdr head;
  std::memcpy(&head, bytes.data(), sizeof(head));
  head.nlmsg_flags = static_cast<std::uint16_t>(head.nlmsg_flags | flags);
  head.nlmsg_seq = ++next_sequence_;
  std::memcpy(bytes.data(), &head, sizeof(head));
  return send(bytes);
}

// Answers to a request that was given up before are known by their number.
Result<bool> NftSocket::dump(std::span<const std::uint8_t> request, const std::function<void(const nlmsghdr&)>& each) {
  if (auto sent = send_request(request, NLM_F_REQUEST | NLM_F_DUMP); !sent) return tl::unexpected(sent.error());
  bool is_cut = false;
  while (true) {
    const auto received = receive(0);
    if (!received) return tl::unexpected(received.error());
    int rest = static_cast<int>(*received);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(message, rest);
         message = mnl_nlmsg_next(message, &rest)) {
      if (message->nlmsg_seq != next_sequence_) continue;
      is_cut = is_cut || (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (message->nlmsg_type == NLMSG_ERROR) {
        const int error = error_of(*message);
        if (error == EINTR) return true;
        if (error != 0) return tl::unexpected(error_in(error, "list nf_tables"));
        continue;
      }
      if (message->nlmsg_type == NLMSG_DONE) {
        std::int32_t error = 0;
        if (mnl_nlmsg_get_payload_len(message) >= sizeof(error)) {
          std::memcpy(&error, mnl_nlmsg_get_payload(message), sizeof(error));
        }
        if (error < 0 && error != -EINTR) return tl::unexpected(error_in(-error, "list nf_tables"));
        return is_cut || error == -EINTR;
      }
      each(*message);
    }
  }
}

Result<void> NftSocket::ask(std::span<const std::uint8_t> request, const std::function<void(const nlmsghdr&)>& each) {
  if (auto sent = send_request(request, NLM_F_REQUEST | NLM_F_ACK); !sent) return tl::unexpected(sent.error());
  // Each answer is a datagram of its own, of NLMSG_GOODSIZE at most: less than a page.
  constexpr std::size_t kDatagram = 4096, kDatagrams = kReceiveSize / kDatagram;
  std::array<iovec, kDatagrams> parts;
  std::array<mmsghdr, kDatagrams> datagrams{};
  for (std::size_t i = 0; i < kDatagrams; ++i) {
    parts[i] = {buffer_.data() + i * kDatagram, kDatagram};
    datagrams[i].msg_hdr.msg_iov = &parts[i];
    datagrams[i].msg_hdr.msg_iovlen = 1;
  }
  while (true) {
    const int count = recvmmsg(socket_.get(), datagrams.data(), kDatagrams, MSG_WAITFORONE, nullptr);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "receive from nf_tables");
    for (int i = 0; i < count; ++i) {
      int rest = static_cast<int>(datagrams[static_cast<std::size_t>(i)].msg_len);
      const auto* message = static_cast<const nlmsghdr*>(parts[static_cast<std::size_t>(i)].iov_base);
      for (; mnl_nlmsg_ok(message, rest); message = mnl_nlmsg_next(message, &rest)) {
        if (message->nlmsg_seq != next_sequence_) continue;
        if (message->nlmsg_type != NLMSG_ERROR) {
          each(*message);
          continue;
        }
        if (const int error = error_of(*message); error != 0) return tl::unexpected(error_in(error, "ask nf_tables"));
        return {};
      }
    }
  }
}

Result<NftSocket::Generation> NftSocket::generation() {
  MessageWriter writer;
  writer.begin_message(message_type(NFT_MSG_GETGEN), NLM_F_REQUEST, 0, AF_UNSPEC);
  writer.end_message();
  Generation generation;
  auto asked = ask(writer.bytes(), [&](const nlmsghdr& message) {
    if (const auto id = attributes_of(message).find(NFTA_GEN_ID)) generation.id = id->u32();
  });
  if (!asked) return tl::unexpected(asked.error());
  return generation;
}

}  // namespace namewall::nft
