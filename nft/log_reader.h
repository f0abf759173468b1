// Refusals as NFLOG tells of them: one netlink socket in each network namespace, bound to a log group.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "policy/event.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::nft {

struct LoggedPacket {
  std::string prefix;
  std::uint32_t mark = 0;
  std::uint32_t uid = 0;
  bool is_ipv6 = false;
  std::uint8_t ip_protocol = 0;
  Address source, destination;
  std::uint16_t source_port = 0, destination_port = 0;  // of ICMP: type and code, as the sets have it
  bool is_tcp_start = false;                            // SYN without ACK
};
std::optional<LoggedPacket> parse_logged(std::span<const std::uint8_t> nflog_message);

class LogReader {
 public:
  // In this thread's network namespace. kConflict: another program listens to the group.
  static Result<FileDescriptor> open_socket_here(std::uint16_t group);
  explicit LogReader(FileDescriptor socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }
  // At most `max` packets; how many messages the kernel dropped since the last call (ENOBUFS) is in `lost`.
  Result<std::size_t> read(std::size_t max, const std::function<void(const LoggedPacket&)>& each);
  std::uint64_t lost() const { return lost_; }

 private:
  FileDescriptor socket_;
  std::uint64_t lost_ = 0;
};

}  // namespace namewall::nft
