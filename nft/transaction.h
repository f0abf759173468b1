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
};

struct CommitResult {
  std::vector<MessageError> errors;  // empty: committed. The kernel has changed nothing otherwise
  bool is_lost = false;              // the kernel's answer did not fit (ENOBUFS): what holds is to be read back
  bool is_committed() const { return errors.empty() && !is_lost; }
};

class NftSocket {
 public:
  // In this thread's network namespace. kPermission, kUnsupported (no nf_tables).
  static Result<NftSocket> open();
  // Opened elsewhere, as open_socket_here() opens it: NETLINK_NETFILTER, bound.
  static Result<NftSocket> adopt(FileDescriptor socket);
  static Result<FileDescriptor> open_socket_here();

  // Sends and waits for the commit (sendmsg(2) returns after it). EINTR and EAGAIN are tried again; an error of the
  // system call itself is the Error.
  Result<CommitResult> commit(Batch& batch);
  // The generation of the ruleset of this namespace, and who made it.
  struct Generation {
    std::uint32_t id = 0;
    std::uint32_t pid = 0;
    std::string process;
  };
  Result<Generation> generation();
  // A request with NLM_F_DUMP. `each` gets every message; a dump that a commit cut short (NLM_F_DUMP_INTR, EINTR) says
  // so at its end: true. It is the caller's to dump again, or to live with what came.
  Result<bool> dump(std::span<const std::uint8_t> request, const std::function<void(const nlmsghdr&)>& each);

  int fd() const { return socket_.get(); }
  std::uint32_t port() const { return port_; }  // netlink port id: the owner of an owned table

 private:
  NftSocket(FileDescriptor socket, std::uint32_t port) : socket_(std::move(socket)), port_(port) {}
  FileDescriptor socket_;
  std::uint32_t port_ = 0;
  std::uint32_t next_sequence_ = 1;
  std::vector<std::uint8_t> buffer_;
};

// What this kernel does, found by trying it in a table of its own (which nobody sees: the transaction is taken back),
// or where that is not possible, in the table itself.
struct NftAbilities {
  TableKind table = TableKind::kPlain;
  UpdateWay update = UpdateWay::kReplace;
  bool has_destroy = false;
};
Result<NftAbilities> probe_abilities(NftSocket& socket);

}  // namespace namewall::nft
