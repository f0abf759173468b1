// Refusals as NFLOG tells of them: one netlink socket in each network namespace, bound to a log group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/event.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

namespace namewall::nft {

struct LoggedPacket {
  std::string prefix;
  std::uint32_t sequence = 0;  // of the group: counts what the kernel could not deliver, too
  std::uint32_t mark = 0;
  std::uint32_t uid = 0;  // of a packet that comes in: 0
  bool is_ipv6 = false;
  std::uint8_t ip_protocol = 0;  // behind the extension headers
  Address source, destination;
  std::uint16_t source_port = 0, destination_port = 0;  // of ICMP echo: the destination's, type and code, as the sets
                                                        // have it. 0 in later fragments and where the packet ends
  bool is_tcp_start = false;                            // SYN without ACK
};
// One message with its header. nullopt: no NFLOG packet, or none that shows an IP header.
std::optional<LoggedPacket> parse_logged(std::span<const std::uint8_t> nflog_message);

class LogReader {
 public:
  // In this thread's network namespace; sends each packet at once. kPermission; kConflict: another program listens to
  // the group; kUnsupported: this kernel has no NFLOG.
  static Result<FileDescriptor> open_socket_here(std::uint16_t group);
  explicit LogReader(FileDescriptor socket);

  int fd() const { return socket_.get(); }
  // About `max` packets: what the kernel gave in one message is not parted. How many were read.
  Result<std::size_t> read(std::size_t max, const std::function<void(const LoggedPacket&)>& each);
  // Packets that were logged and did not arrive (ENOBUFS), since the socket was given to this reader.
  std::uint64_t lost() const { return lost_; }

 private:
  FileDescriptor socket_;
  std::vector<std::uint8_t> buffer_;
  std::optional<std::uint32_t> next_sequence_;
  std::uint64_t lost_ = 0;
};

}  // namespace namewall::nft
