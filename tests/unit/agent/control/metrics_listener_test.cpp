#include "agent/control/metrics_listener.h"

#include <curl/curl.h>
#include <gmock/gmock.h>

#include <memory>

#include "tests/unit/agent/control/served_control.h"

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;

struct CurlAnswer {
  CURLcode code = CURLE_OK;
  long status = 0;
  std::string body;
};

// By libcurl, as any client would. `socket`: the path of a unix socket, nullptr for TCP.
CurlAnswer fetch(const std::string& url, const char* socket = nullptr, const char* method = nullptr) {
  CurlAnswer answer;
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(::curl_easy_init(), &::curl_easy_cleanup);
  ::curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  ::curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  ::curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 8L);
  if (socket != nullptr) ::curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket);
  if (method != nullptr) ::curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, method);
  const auto append = +[](char* data, std::size_t size, std::size_t count, void* body) {
    static_cast<std::string*>(body)->append(data, size * count);
    return size * count;
  };
  ::curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
  ::curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer.body);
  answer.code = ::curl_easy_perform(curl.get());
  ::curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

TEST(MetricsListenerTest, TellsMetricsAndNothingElse) {
  for (const std::string& endpoint : std::vector<std::string>{"127.0.0.1:0", "[::1]:0"}) {
    auto listener = MetricsListener::open(endpoint, [] { return "namewall_up 1\n"; });
    ASSERT_TRUE(listener) << listener.error().message();
    const LoopThread<MetricsListener> loop(*std::move(listener));
    const std::string url = "http://" + loop.server().endpoint();
    const CurlAnswer metrics = fetch(url + "/metrics");
    EXPECT_EQ(metrics.status, 200);
    EXPECT_EQ(metrics.body, "namewall_up 1\n");
    EXPECT_EQ(fetch(url + "/v1/status").status, 404);
    EXPECT_EQ(fetch(url + "/metrics?x=1").status, 404);
    EXPECT_EQ(fetch(url + "/metrics", nullptr, "POST").status, 405);
  }
}

TEST(MetricsListenerTest, ListensOnLoopbackOnly) {
  for (const std::string& endpoint :
       std::vector<std::string>{"0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464", "9464", "127.0.0.1",
                                "127.0.0.1:", "127.0.0.1:70000", "localhost:9464", "127.0.0.1:94x"}) {
    const auto listener = MetricsListener::open(endpoint, [] { return ""; });
    ASSERT_FALSE(listener) << endpoint;
    EXPECT_EQ(listener.error().kind, ErrorKind::kInvalid) << endpoint;
  }
}

TEST(MetricsListenerTest, SaysThatItsPortIsTaken) {
  const auto first = MetricsListener::open("127.0.0.1:0", [] { return ""; });
  ASSERT_TRUE(first);
  const auto second = MetricsListener::open(first->endpoint(), [] { return ""; });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
}

TEST(MetricsListenerTest, AnswersBesideConnectionsThatSayNothing) {
  auto listener = MetricsListener::open("127.0.0.1:0", [] { return "namewall_up 1\n"; });
  ASSERT_TRUE(listener);
  const LoopThread<MetricsListener> loop(*std::move(listener));
  const std::string endpoint = loop.server().endpoint();
  std::vector<std::unique_ptr<CURL, void (*)(CURL*)>> silent;
  for (int i = 0; i < 100; ++i) {
    silent.emplace_back(::curl_easy_init(), &::curl_easy_cleanup);
    ::curl_easy_setopt(silent.back().get(), CURLOPT_URL, ("http://" + endpoint).c_str());
    ::curl_easy_setopt(silent.back().get(), CURLOPT_NOPROXY, "*");
    ::curl_easy_setopt(silent.back().get(), CURLOPT_CONNECT_ONLY, 1L);
    ASSERT_EQ(::curl_easy_perform(silent.back().get()), CURLE_OK);
  }
  EXPECT_EQ(fetch("http://" + endpoint + "/metrics").status, 200);
}

using CurlTest = ServedControl;

TEST_F(CurlTest, AnswersLibcurlOnTheUnixSocket) {
  start();
  const CurlAnswer answer = fetch("http://namewall/v1/workloads/a%2Fb", path_.c_str());
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("name":"a/b")"));
}

}  // namespace
}  // namespace namewall::agent
