// The UDP socket of a proxy place: questions and answers in batches.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "agent/proxy/sender_tokens.h"
#include "agent/proxy/socket_endpoint.h"
#include "policy/file_descriptor.h"

namespace namewall::agent {

struct Datagram {
  SocketEndpoint sender;
  std::uint32_t mark = 0;                 // of the packet; 0 without SO_RCVMARK
  std::span<const std::uint8_t> message;  // cut at DatagramBatch::kMaxLength
};

// Where received datagrams lie: one for all places of a thread.
class DatagramBatch {
 public:
  static constexpr std::size_t kSize = 64;
  static constexpr std::size_t kMaxLength = 1024;  // well above what parse_question takes

  DatagramBatch();
  ~DatagramBatch();

 private:
  friend class DatagramPlace;
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

class DatagramPlace {
 public:
  explicit DatagramPlace(FileDescriptor udp);

  int fd() const { return udp_.get(); }
  // What waits, at most DatagramBatch::kSize; good until the batch is used again. Never blocks.
  std::span<const Datagram> receive(DatagramBatch& batch);
  std::uint64_t token_of(const Datagram& datagram) { return senders_.token_of(datagram.sender); }
  // Is sent with the next flush(), or before when many wait.
  void queue_reply(std::uint64_t token, std::span<const std::uint8_t> message);
  void flush();
  std::uint64_t lost_replies() const { return lost_replies_; }  // the kernel did not take them

 private:
  struct Reply {
    SocketEndpoint to;
    std::size_t offset = 0, length = 0;
  };
  FileDescriptor udp_;
  SenderTokens senders_;
  std::vector<std::uint8_t> bytes_;  // of the replies
  std::vector<Reply> replies_;
  std::uint64_t lost_replies_ = 0;
};

}  // namespace namewall::agent
