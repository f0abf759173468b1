// A netlink socket for nf_tables: sends transactions, and reads what the kernel says about them. The owner of an owned
// table is this socket: it is open as long as the process wants to change the table.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nft/batch.h"
#include "policy/file_descriptor.h"
#include "policy/result.h"

struct nlmsghdr;

namespace namewall::nft {

struct MessageError {
  std::uint32_t sequence = 0;  // of the message in its batch
  int error = 0;               // errno
  // Which element of the message's list it is, where the kernel tells (6.0): those behind it were not looked at.
  std::optional<std::uint32_t> element{};
};

struct CommitResult {
  std::vector<MessageError> errors;  // in the batch's order. Empty: committed. The kernel has changed nothing otherwise
  bool is_lost = false;              // the kernel's answer did not fit (ENOBUFS): what holds is to be read back
  bool is_committed() const { return errors.empty() && !is_lost; }
  const MessageError* find(std::uint32_t sequence) const;
  bool has(int error) const;  // errno
  // "" if committed; else the first error: "message 7: File exists (3 errors)".
  std::string text() const;
};

class NftSocket {
 public:
  // In this thread's network namespace. kPermission, kUnsupported (no nf_tables).
  static Result<NftSocket> open();
  // Opened elsewhere, as open_socket_here() opens it: NETLINK_NETFILTER, bound.
  static Result<NftSocket> adopt(FileDescriptor socket);
  static Result<FileDescriptor> open_socket_here();

  // Sends and waits for the commit (sendmsg(2) returns after it, with all errors queued: no acknowledgement is asked
  // for). A transaction as a whole that failed for a moment (EINTR, EAGAIN, ENOBUFS, ENOMEM) is tried again a few
  // times; an error of the system call itself is the Error: kLimit where the batch is larger than the socket may send.
  // EBUSY of a message (a chain or set that a rule holds) is the caller's.
  Result<CommitResult> commit(Batch& batch);
  // The generation of the ruleset of this namespace: moves with every commit of anybody. (Who made it is told to
  // listeners only: the name in the answer is that of who asks.)
  struct Generation {
    std::uint32_t id = 0;
  };
  Result<Generation> generation();
  // A request with NLM_F_DUMP. `each` gets every message; a dump that a commit cut short (NLM_F_DUMP_INTR, EINTR) says
  // so at its end: true. It is the caller's to dump again, or to live with what came.
  Result<bool> dump(std::span<const std::uint8_t> request, const std::function<void(const nlmsghdr&)>& each);

  // One request without NLM_F_DUMP (NLM_F_ACK is set here): `each` gets the answers. kNotFound and others: what the
  // kernel says. Its sequence number is written by both.
  Result<void> ask(std::span<const std::uint8_t> request, const std::function<void(const nlmsghdr&)>& each);

  int fd() const { return socket_.get(); }
  std::uint32_t port() const { return port_; }  // netlink port id: the owner of an owned table

 private:
  NftSocket(FileDescriptor socket, std::uint32_t port);
  Result<void> send(std::span<const std::uint8_t> bytes);
  Result<void> send_request(std::span<const std::uint8_t> request, std::uint16_t flags);
  Result<std::size_t> receive(int flags);  // into buffer_
  void take_answers(std::span<const std::uint8_t> sent, CommitResult& result);

  FileDescriptor socket_;
  std::uint32_t port_ = 0;
  std::uint32_t next_sequence_ = 1;
  std::size_t send_room_ = 0;  // SO_SNDBUF
  std::vector<std::uint8_t> buffer_;
};

// What this kernel does, found by trying it: as far as possible in transactions that fail at their end, so that nobody
// sees them; whether a renewal takes effect, in a table "namewall-probe-<port>" without chains, gone at the end.
struct NftAbilities {
  TableKind table = TableKind::kPlain;
  UpdateWay update = UpdateWay::kReplace;
  bool has_destroy = false;
};
Result<NftAbilities> probe_abilities(NftSocket& socket);

}  // namespace namewall::nft
