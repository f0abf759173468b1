// io_uring by its system calls: Debian 12's tests should not need liburing for two operations.
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "tests/kernel/escape_actions.h"
#include "tests/kernel/support/owned_fd.h"

namespace namewall::kernel_tests {
namespace {

bool submit(const io_uring_sqe& operation) {
  io_uring_params parameters{};
  const OwnedFd ring(static_cast<int>(syscall(SYS_io_uring_setup, 2, &parameters)));
  if (!ring) return false;
  const std::size_t queue_size = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
  auto* queue = static_cast<char*>(
      mmap(nullptr, queue_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.get(), IORING_OFF_SQ_RING));
  auto* entries =
      static_cast<io_uring_sqe*>(mmap(nullptr, parameters.sq_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_POPULATE, ring.get(), IORING_OFF_SQES));
  if (queue == MAP_FAILED || entries == MAP_FAILED) return false;
  entries[0] = operation;
  reinterpret_cast<unsigned*>(queue + parameters.sq_off.array)[0] = 0;
  __atomic_store_n(reinterpret_cast<unsigned*>(queue + parameters.sq_off.tail), 1u, __ATOMIC_RELEASE);
  return syscall(SYS_io_uring_enter, ring.get(), 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) == 1;
}

}  // namespace

bool io_uring_connect(int socket, const void* address, unsigned length) {
  io_uring_sqe operation{};
  operation.opcode = IORING_OP_CONNECT;
  operation.fd = socket;
  operation.addr = reinterpret_cast<std::uint64_t>(address);
  operation.off = length;
  operation.flags = IOSQE_ASYNC;
  return submit(operation);
}

bool io_uring_sendmsg(int socket, const void* message) {
  io_uring_sqe operation{};
  operation.opcode = IORING_OP_SENDMSG;
  operation.fd = socket;
  operation.addr = reinterpret_cast<std::uint64_t>(message);
  operation.len = 1;
  return submit(operation);
}

}  // namespace namewall::kernel_tests
