// A control server that runs in a thread of its own, with a fake host and fake peers.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <optional>
#include <string>
#include <thread>

#include "agent/control/control_server.h"
#include "tests/unit/agent/control/fake_host.h"
#include "tests/unit/agent/control/fake_peers.h"
#include "tests/unit/agent/control/raw_client.h"
#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {

// serve() as a daemon's loop would, until stopped.
template <typename Server>
class LoopThread {
 public:
  explicit LoopThread(Server server) : server_(std::move(server)), thread_([this] { run(); }) {}
  ~LoopThread() {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  const Server& server() const { return server_; }

 private:
  void run() {
    while (true) {
      std::array<pollfd, 2> waits = {{{server_.fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
      ::poll(waits.data(), waits.size(), server_.timeout_ms());
      if (waits[1].revents != 0) return;
      server_.serve();
    }
  }

  Server server_;
  FileDescriptor stop_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::thread thread_;
};

inline constexpr std::uint32_t kReaders = 4040;

class ServedControl : public ::testing::Test {
 protected:
  void start(ControlLimits limits = {}) {
    ControlServer::Options options;
    options.path = path_;
    options.access = {.own_uid = 990, .readers_gid = kReaders};
    options.limits = limits;
    options.peers = &peers_;
    Result<ControlServer> server = ControlServer::open(options, host_);
    ASSERT_TRUE(server) << server.error().message();
    loop_.emplace(*std::move(server));
  }

  HttpAnswer ask(const std::string& method, const std::string& target, const std::string* body = nullptr) {
    RawClient client(path_);
    client.send(http_request(method, target, body));  // may be answered, and ended, before it is sent whole
    const auto answer = client.read_answer(method != "HEAD");
    EXPECT_TRUE(answer) << "no answer to " << method << " " << target;
    return answer.value_or(HttpAnswer{});
  }
  HttpAnswer get(const std::string& target) { return ask("GET", target); }
  HttpAnswer send(const std::string& method, const std::string& target, const std::string& body) {
    return ask(method, target, &body);
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.file("control.sock");
  FakeHost host_;
  FakePeerSource peers_;
  std::optional<LoopThread<ControlServer>> loop_;  // the first to go
};

}  // namespace namewall::agent
