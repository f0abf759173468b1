// What slow, greedy and broken clients of the control socket get, and that others notice nothing of it.
#include <gmock/gmock.h>

#include <chrono>
#include <iostream>
#include <memory>

#include "tests/unit/agent/control/served_control.h"

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;
using Clients = std::vector<std::unique_ptr<RawClient>>;

constexpr double kUnnoticed = 5;  // ms

class HostileClientsTest : public ServedControl {
 protected:
  Clients connect(std::size_t count) {
    Clients clients;
    for (std::size_t i = 0; i < count; ++i) clients.push_back(std::make_unique<RawClient>(path_));
    return clients;
  }

  // The best of three rounds: what clients cause is there in each of them, what else runs on this host is not.
  double p99_ms(const std::string& what) {
    double best = round_p99_ms(what);
    for (int i = 0; i < 2 && best >= kUnnoticed; ++i) best = std::min(best, round_p99_ms(what));
    return best;
  }

  // Of 400 requests on one connection; prints them.
  double round_p99_ms(const std::string& what) {
    RawClient client(path_);
    std::vector<double> took;
    for (int i = 0; i < 400; ++i) {
      const auto before = Clock::now();
      client.send(http_request("GET", "/v1/status"));
      const auto answer = client.read_answer();
      EXPECT_TRUE(answer && answer->status == 200);
      if (!answer) return 1e9;
      took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
    }
    std::ranges::sort(took);
    std::cout << "GET /v1/status " << what << ": median " << took[200] << " ms, p99 " << took[396] << " ms\n";
    return took[396];
  }
};

TEST_F(HostileClientsTest, AnswerOthersQuicklyWhileAThousandConnect) {
  start();
  peers_.announce(1'000, {.uid = 1000});
  const Clients crowd = connect(1'000);
  EXPECT_LT(p99_ms("while one user holds 1,000 connections"), kUnnoticed);
  std::size_t refused = 0, open = 0;
  for (const auto& client : crowd) {
    const bool closed = client->is_closed(0);
    (closed ? refused : open)++;
    if (closed) {
      EXPECT_EQ(client->read_answer()->error_code(), "too_many_connections");
    }
  }
  EXPECT_EQ(open, ControlLimits{}.connections_per_user);
  EXPECT_EQ(refused, 1'000 - open);
}

TEST_F(HostileClientsTest, HavePlaceForRootWhateverAllOthersHold) {
  start();
  Clients crowd;
  for (std::uint32_t uid = 1000; uid < 1020; ++uid) {
    peers_.become({.uid = uid});
    for (auto& client : connect(8)) {
      // An answer shows that it was accepted while its user was this one.
      client->send(http_request("GET", "/v1/self"));
      client->read_answer();
      crowd.push_back(std::move(client));
    }
  }
  peers_.become({.uid = 0});
  EXPECT_EQ(get("/v1/status").status, 200);
  peers_.become({.uid = 1050});
  RawClient late(path_);
  EXPECT_EQ(late.read_answer()->error_code(), "too_many_connections");
  crowd.clear();
  // Closing is noticed in its own time.
  const auto until = Clock::now() + std::chrono::seconds(5);
  int status = 0;
  while (status != 200 && Clock::now() < until) {
    RawClient again(path_);
    again.send(http_request("GET", "/v1/self"));
    if (const auto answer = again.read_answer()) status = answer->status;
  }
  EXPECT_EQ(status, 200);
}

TEST_F(HostileClientsTest, EndARequestThatDripsInAtItsOwnDeadline) {
  ControlLimits limits;
  limits.request_time = std::chrono::milliseconds(300);
  start(limits);
  RawClient client(path_);
  const auto begin = Clock::now();
  const std::string request = "GET /v1/status HTTP/1.1\r\nHost: " + std::string(2'000, 'x');
  bool open = true;
  std::size_t sent = 0;
  while (open && sent < request.size()) {
    open = client.send(request.substr(sent++, 1)) && !client.is_closed(10);
  }
  const auto took = Clock::now() - begin;
  EXPECT_FALSE(open);
  EXPECT_GE(took, std::chrono::milliseconds(290));
  EXPECT_LT(took, std::chrono::milliseconds(1'500));
  const auto answer = client.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
  EXPECT_EQ(answer->error_code(), "too_slow");
}

TEST_F(HostileClientsTest, EndABodyThatNeverComesAndASecondHalfRequest) {
  ControlLimits limits;
  limits.request_time = std::chrono::milliseconds(200);
  start(limits);
  RawClient body(path_), second(path_);
  ASSERT_TRUE(body.send("POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{"));
  ASSERT_TRUE(second.send(http_request("GET", "/v1/status")));
  ASSERT_TRUE(second.read_answer());
  ASSERT_TRUE(second.send("GET /v1/st"));
  EXPECT_TRUE(body.is_closed(2'000));
  EXPECT_EQ(body.read_answer()->status, 408);
  EXPECT_TRUE(second.is_closed(2'000));
  EXPECT_EQ(second.read_answer()->status, 408);
  EXPECT_TRUE(host_.calls().empty());
}

TEST_F(HostileClientsTest, KeepAnIdleConnectionForItsTimeOnly) {
  ControlLimits limits;
  limits.request_time = std::chrono::milliseconds(100);
  limits.idle_time = std::chrono::seconds(1);
  start(limits);
  RawClient client(path_);
  ASSERT_TRUE(client.send(http_request("GET", "/v1/status")));
  ASSERT_TRUE(client.read_answer());
  EXPECT_FALSE(client.is_closed(400));
  ASSERT_TRUE(client.send(http_request("GET", "/v1/status")));
  ASSERT_TRUE(client.read_answer());
  EXPECT_TRUE(client.is_closed(4'000));
}

TEST_F(HostileClientsTest, RefuseALongHeader) {
  start();
  const auto status_with_header_of = [&](std::size_t bytes) {
    RawClient client(path_);
    client.send("GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + std::string(bytes, 'x') + "\r\n\r\n");
    const auto answer = client.read_answer();
    return answer ? answer->status : 0;
  };
  EXPECT_EQ(status_with_header_of(8'000), 200);
  EXPECT_EQ(status_with_header_of(17'000), 431);
  RawClient client(path_);
  client.send("GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + std::string(1 << 20, 'x'));
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(client.read_answer()->status, 431);
}

TEST_F(HostileClientsTest, RefuseABodyOneByteTooLong) {
  start();
  const std::size_t bound = ControlLimits{}.body_bytes;
  std::string body = R"({"cgroup": "/ci", "policy_text": ""})";
  body.insert(body.size() - 2, bound - body.size(), 'x');
  EXPECT_EQ(send("PUT", "/v1/workloads/ci", body).status, 200);
  const HttpAnswer answer = send("PUT", "/v1/workloads/ci", body + " ");
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.error_code(), "body_too_long");
  EXPECT_EQ(send("GET", "/v1/status", "{}").status, 413);
  EXPECT_EQ(send("POST", "/v1/explain", std::string(20'000, ' ')).status, 413);

  RawClient chunked(path_);
  chunked.send("PUT /v1/workloads/ci HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
  for (int i = 0; i < 64 && chunked.send(chunk); ++i) {
  }
  EXPECT_TRUE(chunked.is_closed());
  EXPECT_EQ(chunked.read_answer()->status, 413);
  EXPECT_EQ(host_.calls().size(), 1u);
}

TEST_F(HostileClientsTest, CloseWhatIsNoHttp) {
  ControlLimits limits;
  limits.request_time = std::chrono::milliseconds(300);
  start(limits);
  for (const std::string& bytes : {std::string("\x16\x03\x01\x00\xa5\x01\r\n\r\n"), std::string("GET\r\n\r\n"),
                                   std::string("GET /v1/status HTTP/1.1\r\n\r\n"),  // no Host
                                   std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}) {
    RawClient client(path_);
    client.send(bytes);
    const auto answer = client.read_answer();
    EXPECT_TRUE(!answer || answer->status >= 400) << bytes;
  }
  EXPECT_EQ(get("/v1/status").status, 200);
}

TEST_F(HostileClientsTest, TellAnEventsReaderWhatItMissedAndDelayNobodyForIt) {
  start();
  RawClient reader(path_);
  ASSERT_TRUE(reader.send(http_request("GET", "/v1/events?follow=1")));
  ASSERT_TRUE(reader.read_until("\r\n\r\n"));
  constexpr std::size_t kEvents = 20'000;
  for (std::size_t i = 0; i < kEvents; i += 200) {
    host_.add_events(200, "ci", std::string(200, 'x'));
    if (i == kEvents / 2) {
      EXPECT_LT(p99_ms("beside an events reader that takes nothing"), kUnnoticed);
    }
  }
  std::size_t lines = 0, missed = 0;
  std::string text;
  std::uint64_t last = 0;
  while (last < kEvents) {
    const auto chunk = reader.read_chunk();
    ASSERT_TRUE(chunk && !chunk->empty());
    text += *chunk;
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      const auto event = nlohmann::json::parse(text.substr(0, end));
      last = event["sequence"];
      const bool is_notice = event["reason"] == "missed";
      (is_notice ? missed : lines) += is_notice ? event["left_out"].get<std::size_t>() : 1;
    }
  }
  std::cout << "of " << kEvents << " events: " << lines << " sent, " << missed << " missed\n";
  EXPECT_EQ(lines + missed, kEvents);
  EXPECT_GT(missed, kEvents / 2);
}

TEST_F(HostileClientsTest, CloseAnEventsReaderThatTakesNothing) {
  ControlLimits limits;
  limits.idle_time = std::chrono::seconds(1);
  start(limits);
  RawClient stuck(path_), patient(path_);
  stuck.send(http_request("GET", "/v1/events?follow=1&workload=ci"));
  patient.send(http_request("GET", "/v1/events?follow=1&workload=web"));
  ASSERT_TRUE(stuck.read_until("\r\n\r\n"));
  ASSERT_TRUE(patient.read_until("\r\n\r\n"));
  host_.add_events(2'000, "ci", std::string(300, 'x'));
  // Longer than the bound: a reader without news is no stuck reader.
  EXPECT_FALSE(patient.is_closed(2'500));
  host_.add_events(1, "web", "found.example");
  EXPECT_TRUE(patient.read_until("found.example"));
  EXPECT_TRUE(stuck.is_closed(1'000));
}

}  // namespace
}  // namespace namewall::agent
