extern "C" {
#include "libnamewall/exchange.h"
#include "libnamewall/namewall.h"
}

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "tests/unit/libnamewall/fake_control_socket.h"

namespace namewall::libnamewall_tests {
namespace {

constexpr std::int64_t kLong = 20'000, kShort = 50;

struct Exchanged {
  int result = 0, status = 0, system_error = 0;
  std::string body, allow;
};

Exchanged exchange_with(const char* path, std::int64_t time_ms, const std::string& body = "{}") {
  Exchanged exchanged;
  namewall_answer answer{};
  exchanged.result = namewall_exchange(path, "POST", "/v1/restrict", body.c_str(), namewall_clock_ms() + time_ms,
                                       &answer, &exchanged.system_error);
  exchanged.status = answer.status;
  if (answer.body != nullptr) exchanged.body.assign(answer.body, answer.body_size);
  exchanged.allow = answer.allow;
  std::free(answer.body);
  return exchanged;
}

Exchanged exchange_saying(const std::string& whole, std::int64_t time_ms = kLong) {
  const FakeControlSocket daemon(whole);
  return exchange_with(daemon.path(), time_ms);
}

TEST(NamewallExchange, SendsOneRequestWithItsLengthAndTakesTheAnswer) {
  const FakeControlSocket daemon(answer(200, "{\"a\":1}", "Allow: POST, OPTIONS\r\n"));
  const Exchanged exchanged = exchange_with(daemon.path(), kLong, "{\"x\":2}");
  EXPECT_EQ(exchanged.result, NAMEWALL_OK);
  EXPECT_EQ(exchanged.status, 200);
  EXPECT_EQ(exchanged.body, "{\"a\":1}");
  EXPECT_EQ(exchanged.allow, "POST, OPTIONS");
  ASSERT_EQ(daemon.requests().size(), 1u);
  EXPECT_EQ(daemon.requests()[0],
            "POST /v1/restrict HTTP/1.0\r\nHost: namewall\r\nContent-Type: application/json\r\n"
            "Content-Length: 7\r\n\r\n{\"x\":2}");
}

TEST(NamewallExchange, TakesAnAnswerThatComesByteByByte) {
  const FakeControlSocket daemon([](int connection, const std::string&) {
    for (const char byte : answer(409, "{}")) say(connection, {&byte, 1});
  });
  EXPECT_EQ(exchange_with(daemon.path(), kLong).status, 409);
}

TEST(NamewallExchange, TakesABodyThatEndsWithTheConnection) {
  const Exchanged exchanged = exchange_saying("HTTP/1.0 200 OK\r\n\r\n{\"b\":2}");
  EXPECT_EQ(exchanged.result, NAMEWALL_OK);
  EXPECT_EQ(exchanged.body, "{\"b\":2}");
}

TEST(NamewallExchange, RefusesWhatIsNoAnswer) {
  for (const char* said :
       {"", "H", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"}) {
    const Exchanged exchanged = exchange_saying(said);
    EXPECT_EQ(exchanged.result, NAMEWALL_BAD_ANSWER) << said;
    EXPECT_EQ(exchanged.body, "") << said;
  }
}

TEST(NamewallExchange, EndsAnEndlessHeadAndAnEndlessBody) {
  for (const bool has_head : {false, true}) {
    std::size_t said = 0;
    {
      const FakeControlSocket daemon([&](int connection, const std::string&) {
        say(connection, has_head ? "HTTP/1.1 200 OK\r\n\r\n" : "HTTP/1.1 200 OK\r\nX: ");
        const std::string block(64 << 10, 'a');
        while (::send(connection, block.data(), block.size(), MSG_NOSIGNAL) > 0) said += block.size();
      });
      EXPECT_EQ(exchange_with(daemon.path(), kLong).result, NAMEWALL_BAD_ANSWER);
    }
    EXPECT_LT(said, std::size_t{8} << 20);
  }
}

TEST(NamewallExchange, RefusesABodyLongerThanItTakes) {
  EXPECT_EQ(exchange_saying(answer(200, std::string(NAMEWALL_MAX_ANSWER + 1, ' '))).result, NAMEWALL_BAD_ANSWER);
  EXPECT_EQ(exchange_saying(answer(200, std::string(NAMEWALL_MAX_ANSWER, ' '))).result, NAMEWALL_OK);
}

TEST(NamewallExchange, GivesUpOnADaemonThatIsSlow) {
  for (const char* said : {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}"}) {
    const FakeControlSocket daemon([said](int connection, const std::string&) {
      say(connection, said);
      wait_for_end(connection);
    });
    EXPECT_EQ(exchange_with(daemon.path(), kShort).result, NAMEWALL_TIMEOUT) << said;
  }
}

TEST(NamewallExchange, GivesUpOnADaemonThatTakesNoConnection) {
  char name[] = "/tmp/namewall-libnw-XXXXXX";
  const std::string directory = ::mkdtemp(name), path = directory + "/full.sock";
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  std::vector<int> waiting;
  for (int connected = 0; connected == 0;) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    waiting.push_back(fd);
  }
  EXPECT_EQ(exchange_with(path.c_str(), kShort).result, NAMEWALL_TIMEOUT);
  for (const int fd : waiting) ::close(fd);
  ::close(listener);
  std::filesystem::remove_all(directory);
}

TEST(NamewallExchange, TellsNobodyThereFromNotLetIn) {
  EXPECT_EQ(exchange_with("/nonexistent/control.sock", kLong).result, NAMEWALL_NO_DAEMON);
  EXPECT_EQ(exchange_with("/etc/passwd", kLong).result, NAMEWALL_NO_DAEMON);
  const Exchanged too_long = exchange_with(("/" + std::string(200, 'a')).c_str(), kLong);
  EXPECT_EQ(too_long.result, NAMEWALL_SYSTEM);
  EXPECT_EQ(too_long.system_error, ENAMETOOLONG);
}

TEST(NamewallExchange, ReadsARefusalThatComesBeforeTheBodyIsTaken) {
  const std::string refusal = answer(413, "{\"error\":{}}");
  const FakeControlSocket daemon([&](int connection, const std::string&) { say(connection, refusal); });
  EXPECT_EQ(exchange_with(daemon.path(), kLong, std::string(700'000, 'x')).status, 413);
}

}  // namespace
}  // namespace namewall::libnamewall_tests
