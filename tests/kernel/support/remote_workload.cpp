#include "tests/kernel/support/remote_workload.h"

#include <sys/socket.h>

#include <cerrno>
#include <vector>

namespace namewall::kernel_tests {

struct RemoteWorkload::Request {
  enum class Act { kQuestion, kHasAnswer, kTcp, kUdp } act = Act::kQuestion;
  SocketAddress to;
  std::uint32_t size = 0;
  std::uint8_t bytes[60'000];
};

RemoteWorkload::RemoteWorkload(const ThrowawayCgroup& cgroup) {
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) ADD_FAILURE() << std::strerror(errno);
  channel_ = OwnedFd(ends[0]);
  const int child_end = ends[1];
  process_ = std::make_unique<WorkloadProcess>(cgroup, [this, child_end] {
    channel_.reset();
    const auto request = std::make_unique<Request>();
    OwnedFd asking;
    while (recv(child_end, request.get(), sizeof(Request), 0) > 0) {
      int result = 0;
      const auto& to = request->to;
      switch (request->act) {
        case Request::Act::kQuestion:
          asking = make_socket(to.family(), SOCK_DGRAM);
          if (connect(asking.get(), to.get(), to.length) != 0 ||
              send(asking.get(), request->bytes, request->size, 0) < 0) {
            result = errno;
          }
          break;
        case Request::Act::kHasAnswer: {
          char byte;
          result = recv(asking.get(), &byte, 1, MSG_DONTWAIT) >= 0 ? 1 : 0;
          break;
        }
        case Request::Act::kTcp: {
          const auto client = make_socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK);
          reset_on_close(client.get());
          if (connect(client.get(), to.get(), to.length) != 0 && errno != EINPROGRESS) result = errno;
          break;
        }
        case Request::Act::kUdp: {
          const auto client = make_socket(to.family(), SOCK_DGRAM);
          if (sendto(client.get(), "x", 1, 0, to.get(), to.length) != 1) result = errno;
          break;
        }
      }
      if (send(child_end, &result, sizeof(result), 0) != sizeof(result)) break;
    }
    return std::string();
  });
  close(child_end);
}

int RemoteWorkload::call(const Request& request) {
  const std::size_t size = offsetof(Request, bytes) + request.size;
  int result = -1;
  const timeval limit{10, 0};
  setsockopt(channel_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  if (send(channel_.get(), &request, size, MSG_NOSIGNAL) < 0 ||
      recv(channel_.get(), &result, sizeof(result), 0) != sizeof(result)) {
    ADD_FAILURE() << "the remote workload does not answer: " << std::strerror(errno);
  }
  return result;
}

int RemoteWorkload::send_question(const SocketAddress& resolver, const Bytes& question) {
  Request request;
  request.act = Request::Act::kQuestion;
  request.to = resolver;
  request.size = static_cast<std::uint32_t>(std::min(question.size(), sizeof(request.bytes)));
  std::memcpy(request.bytes, question.data(), request.size);
  return call(request);
}

bool RemoteWorkload::has_answer() {
  Request request;
  request.act = Request::Act::kHasAnswer;
  return call(request) == 1;
}

int RemoteWorkload::tcp_connect(const SocketAddress& to) {
  Request request;
  request.act = Request::Act::kTcp;
  request.to = to;
  return call(request);
}

int RemoteWorkload::udp_send(const SocketAddress& to) {
  Request request;
  request.act = Request::Act::kUdp;
  request.to = to;
  return call(request);
}

}  // namespace namewall::kernel_tests
