#include "nft/log_reader.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace namewall::nft {
namespace {

constexpr std::size_t kBuffer = 128u << 10;         // a message of the kernel is at most 64 KiB of packets
constexpr int kReceiveBuffer = 4 << 20;             // SO_RCVBUFFORCE
constexpr std::uint32_t kCopied = 256;              // bytes of a packet: headers and some extension headers
constexpr std::uint8_t kMaxExtensionHeaders = 16;   // that are walked over
constexpr std::uint16_t kFragmentOffset = 0x1fff;   // RFC 791
constexpr std::uint16_t kFragmentOffset6 = 0xfff8;  // RFC 8200 section 4.5
constexpr std::uint8_t kTcpSyn = 0x02, kTcpAck = 0x10;

using Bytes = std::span<const std::uint8_t>;

std::uint16_t read_u16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

void read_transport(Bytes bytes, LoggedPacket& packet) {
  switch (packet.ip_protocol) {
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      if (bytes.size() >= 2) packet.destination_port = read_u16(bytes, 0);
      return;
    case IPPROTO_TCP:
      if (bytes.size() >= 14) packet.is_tcp_start = (bytes[13] & (kTcpSyn | kTcpAck)) == kTcpSyn;
      [[fallthrough]];
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
      if (bytes.size() < 4) return;
      packet.source_port = read_u16(bytes, 0);
      packet.destination_port = read_u16(bytes, 2);
      return;
    default:
      return;
  }
}

bool read_ipv4(Bytes bytes, LoggedPacket& packet) {
  if (bytes.size() < 20) return false;
  const std::size_t header = (bytes[0] & 0x0fu) * 4;
  std::array<std::uint8_t, 4> address{};
  std::copy_n(bytes.begin() + 12, 4, address.begin());
  packet.source = Address::v4(address);
  std::copy_n(bytes.begin() + 16, 4, address.begin());
  packet.destination = Address::v4(address);
  packet.ip_protocol = bytes[9];
  const bool is_later_fragment = (read_u16(bytes, 6) & kFragmentOffset) != 0;
  if (header >= 20 && bytes.size() > header && !is_later_fragment) read_transport(bytes.subspan(header), packet);
  return true;
}

bool read_ipv6(Bytes bytes, LoggedPacket& packet) {
  constexpr std::size_t kHeader = 40;
  if (bytes.size() < kHeader) return false;
  std::array<std::uint8_t, 16> address{};
  std::copy_n(bytes.begin() + 8, 16, address.begin());
  packet.source = Address::v6(address);
  std::copy_n(bytes.begin() + 24, 16, address.begin());
  packet.destination = Address::v6(address);
  packet.is_ipv6 = true;
  packet.ip_protocol = bytes[6];
  Bytes rest = bytes.subspan(kHeader);
  for (unsigned walked = 0; walked < kMaxExtensionHeaders; ++walked) {
    std::size_t length = 0;
    switch (packet.ip_protocol) {
      case IPPROTO_HOPOPTS:
      case IPPROTO_ROUTING:
      case IPPROTO_DSTOPTS:
        if (rest.size() < 2) return true;
        length = (rest[1] + 1u) * 8;
        break;
      case IPPROTO_AH:
        if (rest.size() < 2) return true;
        length = (rest[1] + 2u) * 4;
        break;
      case IPPROTO_FRAGMENT:
        if (rest.size() < 8) return true;
        length = 8;
        break;
      default:
        read_transport(rest, packet);
        return true;
    }
    const bool is_later_fragment =
        packet.ip_protocol == IPPROTO_FRAGMENT && (read_u16(rest, 2) & kFragmentOffset6) != 0;
    packet.ip_protocol = rest[0];
    if (is_later_fragment || rest.size() < length) return true;
    rest = rest.subspan(length);
  }
  return true;
}

bool read_packet(Bytes bytes, LoggedPacket& packet) {
  if (bytes.empty()) return false;
  switch (bytes[0] >> 4) {
    case 4:
      return read_ipv4(bytes, packet);
    case 6:
      return read_ipv6(bytes, packet);
    default:
      return false;
  }
}

struct Reading {
  LoggedPacket packet;
  bool has_payload = false;
};

std::uint32_t number_of(const nlattr* attribute) {
  return mnl_attr_validate(attribute, MNL_TYPE_U32) < 0 ? 0 : ntohl(mnl_attr_get_u32(attribute));
}

int take_attribute(const nlattr* attribute, void* data) {
  auto& [packet, has_payload] = *static_cast<Reading*>(data);
  const auto* value = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
  const std::size_t length = mnl_attr_get_payload_len(attribute);
  switch (mnl_attr_get_type(attribute)) {
    case NFULA_MARK:
      packet.mark = number_of(attribute);
      break;
    case NFULA_UID:
      packet.uid = number_of(attribute);
      break;
    case NFULA_SEQ:
      packet.sequence = number_of(attribute);
      break;
    case NFULA_PREFIX: {
      const auto* text = reinterpret_cast<const char*>(value);
      packet.prefix.assign(text, strnlen(text, length));
      break;
    }
    case NFULA_PAYLOAD:
      has_payload = read_packet({value, length}, packet);
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

// One configuration message and its acknowledgement: 0 or errno.
int configure(int socket, std::uint16_t group, std::uint32_t sequence, std::uint8_t family,
              const std::function<void(nlmsghdr&)>& put) {
  std::array<char, 512> buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message->nlmsg_seq = sequence;
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = family;
  header->version = NFNETLINK_V0;
  header->res_id = htons(group);
  put(*message);
  if (send(socket, message, message->nlmsg_len, 0) < 0) return errno;
  std::array<char, 8192> reply{};
  while (true) {
    // Packets may come before the acknowledgement once the group is bound.
    const ssize_t length = recv(socket, reply.data(), reply.size(), 0);
    if (length < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (length < 0) return errno;
    const auto* answer = reinterpret_cast<const nlmsghdr*>(reply.data());
    if (!mnl_nlmsg_ok(answer, static_cast<int>(length))) return EBADMSG;
    if (answer->nlmsg_type != NLMSG_ERROR || answer->nlmsg_seq != sequence) continue;
    return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer))->error;
  }
}

int send_command(int socket, std::uint16_t group, std::uint32_t sequence, std::uint8_t command) {
  return configure(socket, group, sequence, AF_UNSPEC, [command](nlmsghdr& message) {
    const nfulnl_msg_config_cmd value{command};
    mnl_attr_put(&message, NFULA_CFG_CMD, sizeof value, &value);
  });
}

int settle(int socket, std::uint16_t group, std::uint32_t sequence) {
  return configure(socket, group, sequence, AF_UNSPEC, [](nlmsghdr& message) {
    nfulnl_msg_config_mode mode{};
    mode.copy_range = htonl(kCopied);
    mode.copy_mode = NFULNL_COPY_PACKET;
    mnl_attr_put(&message, NFULA_CFG_MODE, sizeof mode, &mode);
    mnl_attr_put_u32(&message, NFULA_CFG_QTHRESH, htonl(1));
    mnl_attr_put_u16(&message, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
  });
}

}  // namespace

std::optional<LoggedPacket> parse_logged(std::span<const std::uint8_t> nflog_message) {
  const auto* message = reinterpret_cast<const nlmsghdr*>(nflog_message.data());
  if (!mnl_nlmsg_ok(message, static_cast<int>(nflog_message.size()))) return std::nullopt;
  if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) return std::nullopt;
  if (mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg)) return std::nullopt;
  Reading reading;
  mnl_attr_parse(message, sizeof(nfgenmsg), take_attribute, &reading);
  if (!reading.has_payload) return std::nullopt;
  return reading.packet;
}

Result<FileDescriptor> LogReader::open_socket_here(std::uint16_t group) {
  FileDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) return fail_errno(errno, "cannot open a netfilter socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, "cannot bind a netfilter socket");
  }
  // Without it the default holds; losses are counted either way.
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);

  const std::string what = "NFLOG group " + std::to_string(group);
  // PF_UNBIND does nothing, on every kernel: its error tells a missing right or a missing NFLOG from a taken group.
  if (const int error = send_command(socket.get(), group, 1, NFULNL_CFG_CMD_PF_UNBIND); error != 0) {
    if (error == EPERM) return fail_errno(error, "cannot listen to " + what);
    return fail(ErrorKind::kUnsupported, "this kernel has no NFLOG (nfnetlink_log)", error);
  }
  if (const int error = send_command(socket.get(), group, 2, NFULNL_CFG_CMD_BIND); error != 0) {
    if (error == EPERM || error == EBUSY) {
      return fail(ErrorKind::kConflict, "another program listens to " + what, error);
    }
    return fail_errno(error, "cannot listen to " + what);
  }
  if (const int error = settle(socket.get(), group, 3); error != 0) {
    return fail_errno(error, "cannot set how " + what + " is sent");
  }
  return socket;
}

LogReader::LogReader(FileDescriptor socket) : socket_(std::move(socket)), buffer_(kBuffer) {}

Result<std::size_t> LogReader::read(std::size_t max, const std::function<void(const LoggedPacket&)>& each) {
  std::size_t count = 0;
  while (count < max) {
    const ssize_t length = recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (length < 0) {
      if (errno == EINTR || errno == ENOBUFS) continue;  // what is lost is missing in the sequence
      if (errno == EAGAIN) break;
      return fail_errno(errno, "cannot read from NFLOG");
    }
    int left = static_cast<int>(length);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      const auto packet = parse_logged({reinterpret_cast<const std::uint8_t*>(message), message->nlmsg_len});
      if (!packet) continue;
      if (next_sequence_) lost_ += packet->sequence - *next_sequence_;
      next_sequence_ = packet->sequence + 1;
      each(*packet);
      ++count;
    }
  }
  return count;
}

}  // namespace namewall::nft
