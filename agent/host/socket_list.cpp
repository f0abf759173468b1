#include "agent/host/socket_list.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>

#include "agent/inet_diag.h"
#include "agent/socket_destroy.h"

namespace namewall::agent {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = Flow::Kind;

constexpr std::uint32_t kNewSynReceived = 12;  // TCP_NEW_SYN_RECV of include/net/tcp_states.h
// Neither has a cgroup nor a program that could use it.
constexpr std::uint32_t kStates = ~(1u << TCP_TIME_WAIT | 1u << kNewSynReceived);

struct Table {
  int family;
  int protocol;
  Kind kind;
  const char* name;
};
constexpr Table kTables[] = {
    {AF_INET, IPPROTO_TCP, Kind::kTcp, "TCP over IPv4"}, {AF_INET6, IPPROTO_TCP, Kind::kTcp, "TCP over IPv6"},
    {AF_INET, IPPROTO_UDP, Kind::kUdp, "UDP over IPv4"}, {AF_INET6, IPPROTO_UDP, Kind::kUdp, "UDP over IPv6"},
    {AF_INET, IPPROTO_RAW, Kind::kRaw, "raw IPv4"},      {AF_INET6, IPPROTO_RAW, Kind::kRaw, "raw IPv6"},
};

std::optional<Flow> read_flow(const Table& table, std::span<const char> payload) {
  inet_diag_msg message{};
  if (payload.size() < sizeof message) return std::nullopt;
  std::memcpy(&message, payload.data(), sizeof message);
  Flow flow;
  flow.kind = table.kind;
  flow.is_ipv6_socket = table.family == AF_INET6;
  flow.local = read_diag_address(table.family, message.id.idiag_src);
  flow.remote = read_diag_address(table.family, message.id.idiag_dst);
  flow.local_port = Port{ntohs(message.id.idiag_sport)};
  flow.remote_port = Port{ntohs(message.id.idiag_dport)};
  flow.is_connected = table.kind == Kind::kTcp   ? message.idiag_state != TCP_LISTEN && message.idiag_state != TCP_CLOSE
                      : table.kind == Kind::kUdp ? message.idiag_state == TCP_ESTABLISHED
                                                 : false;
  flow.inode = message.idiag_inode;
  flow.interface = message.id.idiag_if;
  flow.socket_cookie = message.id.idiag_cookie[0] | static_cast<std::uint64_t>(message.id.idiag_cookie[1]) << 32;
  for_each_diag_attribute(payload, [&flow](unsigned type, std::span<const char> value) {
    if (type == INET_DIAG_CGROUP_ID && value.size() == sizeof flow.cgroup_id) {
      std::memcpy(&flow.cgroup_id, value.data(), sizeof flow.cgroup_id);
    } else if (type == INET_DIAG_PROTOCOL && value.size() == sizeof flow.raw_protocol) {
      std::memcpy(&flow.raw_protocol, value.data(), sizeof flow.raw_protocol);
    }
  });
  return flow;
}

class Listing {
 public:
  Listing(int diagnosis, const std::set<std::uint64_t>& cgroups)
      : diagnosis_(diagnosis), cgroups_(cgroups), deadline_(Clock::now() + kListingBudget) {}

  Result<void> add(const Table& table) {
    struct {
      nlmsghdr header;
      inet_diag_req_v2 request;
    } message{};
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.request.sdiag_family = static_cast<std::uint8_t>(table.family);
    message.request.sdiag_protocol = static_cast<std::uint8_t>(table.protocol);
    message.request.idiag_states = kStates;
    if (send(diagnosis_, &message, sizeof message, 0) < 0) return fail_errno(errno, "cannot ask for the sockets");
    while (true) {
      if (Clock::now() > deadline_) return fail(ErrorKind::kLimit, "listing the sockets takes too long");
      const ssize_t length = recv(diagnosis_, buffer_.data(), buffer_.size(), MSG_TRUNC);
      if (length < 0 && errno == EINTR) continue;
      if (length < 0) return fail_errno(errno, "cannot read the list of sockets");
      if (static_cast<std::size_t>(length) > buffer_.size()) {
        return fail(ErrorKind::kSystem, "the list of sockets does not fit its buffer");
      }
      const Result<bool> more = read_messages(table, static_cast<std::size_t>(length));
      if (!more) return tl::unexpected(more.error());
      if (!*more) return {};
    }
  }

  SocketList take() { return std::move(list_); }

 private:
  // Whether there is more to come.
  Result<bool> read_messages(const Table& table, std::size_t length) {
    for (std::size_t at = 0; at + sizeof(nlmsghdr) <= length;) {
      nlmsghdr header{};
      std::memcpy(&header, buffer_.data() + at, sizeof header);
      if (header.nlmsg_len < NLMSG_HDRLEN || at + header.nlmsg_len > length) break;
      const std::span<const char> payload(buffer_.data() + at + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
      if (header.nlmsg_type == NLMSG_DONE) {
        int error = 0;
        if (payload.size() >= sizeof error) std::memcpy(&error, payload.data(), sizeof error);
        return note_end(table, -error);
      }
      if (header.nlmsg_type == NLMSG_ERROR) {
        nlmsgerr error{};
        if (payload.size() >= sizeof error.error) std::memcpy(&error.error, payload.data(), sizeof error.error);
        return note_end(table, -error.error);
      }
      if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
        if (auto added = add_flow(read_flow(table, payload)); !added) return tl::unexpected(added.error());
      }
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
    return true;
  }

  Result<bool> note_end(const Table& table, int error) {
    if (error == 0) return false;
    // The kernel has no sock_diag for this kind.
    if (table.kind != Kind::kRaw || (error != ENOENT && error != EINVAL)) {
      return fail_errno(error, std::string("cannot list ") + table.name + " sockets");
    }
    list_.has_raw = false;
    return false;
  }

  Result<void> add_flow(const std::optional<Flow>& flow) {
    if (!flow || (!cgroups_.empty() && !cgroups_.contains(flow->cgroup_id))) return {};
    if (list_.flows.size() == kMaxListedSockets) {
      return fail(ErrorKind::kLimit, "there are more than " + std::to_string(kMaxListedSockets) + " sockets");
    }
    list_.flows.push_back(*flow);
    return {};
  }

  int diagnosis_;
  const std::set<std::uint64_t>& cgroups_;
  Clock::time_point deadline_;
  SocketList list_;
  alignas(nlmsghdr) std::array<char, 64 << 10> buffer_;
};

}  // namespace

Result<SocketList> list_sockets(int diagnosis, const std::set<std::uint64_t>& cgroups) {
  Listing listing(diagnosis, cgroups);
  for (const Table& table : kTables) {
    if (auto added = listing.add(table); !added) return tl::unexpected(added.error());
  }
  return listing.take();
}

Result<void> destroy_socket(int diagnosis, const Flow& flow) {
  inet_diag_req_v2 request{};
  const int family = flow.is_ipv6_socket ? AF_INET6 : AF_INET;
  request.sdiag_family = static_cast<std::uint8_t>(family);
  request.sdiag_protocol = flow.kind == Kind::kTcp ? IPPROTO_TCP : flow.kind == Kind::kUdp ? IPPROTO_UDP : IPPROTO_RAW;
  if (flow.kind == Kind::kRaw) request.pad = flow.raw_protocol;  // sdiag_raw_protocol of inet_diag_req_raw
  request.idiag_states = kStates;
  request.id.idiag_sport = htons(flow.local_port.number);
  request.id.idiag_dport = htons(flow.remote_port.number);
  write_diag_address(family, flow.local, request.id.idiag_src);
  write_diag_address(family, flow.remote, request.id.idiag_dst);
  request.id.idiag_if = flow.interface;
  request.id.idiag_cookie[0] = static_cast<std::uint32_t>(flow.socket_cookie);
  request.id.idiag_cookie[1] = static_cast<std::uint32_t>(flow.socket_cookie >> 32);
  return send_socket_destroy(diagnosis, request);
}

}  // namespace namewall::agent
