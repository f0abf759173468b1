#include "agent/control/metrics_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <utility>

#include "agent/control/http_daemon.h"
#include "policy/address.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeaderBytes = 8u << 10;
constexpr int kBacklog = 64;

struct Listened {
  sockaddr_storage address{};
  socklen_t size = 0;
};

bool is_loopback(const Address& address) {
  if (address.is_v4()) return address.v4_bytes()[0] == 127;
  return address == *parse_address("::1");
}

Result<Listened> parse_loopback_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const std::optional<Address> address = parse_address(host);
  bool has_port = false;
  if (colon != std::string::npos) {
    const auto [parsed, error] = std::from_chars(text.data() + colon + 1, end, port);
    has_port = error == std::errc() && parsed == end;
  }
  if (!address || !is_loopback(*address) || !has_port) {
    return fail(ErrorKind::kInvalid, "the metrics listener cannot take " + quote_for_display(text) +
                                         "; accepted: a loopback address with a port, such as 127.0.0.1:9464");
  }
  Listened listened;
  if (address->is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(listened.address);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::ranges::copy(address->v4_bytes(), reinterpret_cast<std::uint8_t*>(&v4.sin_addr));
    listened.size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(listened.address);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    listened.size = sizeof v6;
  }
  return listened;
}

Result<FileDescriptor> listen_at(const Listened& where, const std::string& text) {
  FileDescriptor fd(::socket(where.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where.address), where.size) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    const int error_number = errno;
    const std::string what = "cannot listen for metrics at " + text;
    if (error_number == EADDRINUSE) return fail(ErrorKind::kConflict, what, error_number);
    return fail_errno(error_number, what);
  }
  return fd;
}

class MetricsClient : public HttpConnection {
 public:
  MetricsClient(int fd, const std::function<std::string()>& metrics) : fd_(fd), metrics_(metrics) {}

  Clock::time_point deadline() const { return accepted_ + kMetricsConnectionTime; }
  bool is_closed() const { return closed_; }
  bool is_ending() const { return ending_; }
  void end() {
    if (!std::exchange(ending_, true)) ::shutdown(fd_, SHUT_RDWR);
  }

  void request_began(std::string_view target) override { target_ = target; }
  std::optional<Reply> headers_read(std::string_view method, std::size_t, std::optional<std::uint64_t> body) override {
    if (target_ != "/metrics") return error_reply(kUnknownPath, "there is nothing but /metrics here");
    if (method != "GET" && method != "HEAD") {
      Reply reply = error_reply(kWrongMethod, "/metrics takes GET, HEAD");
      reply.allow = "GET, HEAD";
      return reply;
    }
    if (body.value_or(0) > 0) return error_reply(kBodyTooLong, "this request takes no body");
    return std::nullopt;
  }
  bool body_part(std::string_view) override { return false; }
  Reply answer() override {
    Reply reply;
    reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    reply.body = metrics_();
    return reply;
  }
  void request_ended() override {}
  void closed() override { closed_ = true; }

 private:
  int fd_;
  const std::function<std::string()>& metrics_;
  Clock::time_point accepted_ = Clock::now();
  std::string target_;
  bool ending_ = false;
  bool closed_ = false;
};

}  // namespace

struct MetricsListener::Loop {
  Loop(HttpDaemon http_daemon, std::function<std::string()> text)
      : metrics(std::move(text)), http(std::move(http_daemon)) {}
  Result<void> watch(int fd) const;
  void end_overdue();
  void accept_one();

  std::function<std::string()> metrics;
  FileDescriptor epoll;
  FileDescriptor listening;
  std::map<std::uint64_t, std::unique_ptr<MetricsClient>> clients;  // oldest first
  std::uint64_t next_client = 0;
  HttpDaemon http;  // the last: its end closes the clients
};

Result<void> MetricsListener::Loop::watch(int fd) const {
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return fail_errno(errno, "cannot wait for the metrics listener's descriptors");
}

void MetricsListener::Loop::end_overdue() {
  const Clock::time_point now = Clock::now();
  for (const auto& [number, client] : clients) {
    if (client->deadline() <= now) client->end();
  }
}

// One for each serve(): where the room is full the oldest is ended first, and goes with the next run of the library.
void MetricsListener::Loop::accept_one() {
  FileDescriptor connection(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection) return;
  if (clients.size() >= kMaxMetricsConnections) {
    const auto oldest = std::ranges::find_if(clients, [](const auto& entry) { return !entry.second->is_ending(); });
    if (oldest != clients.end()) oldest->second->end();
  }
  const int fd = connection.get();
  auto client = std::make_unique<MetricsClient>(fd, metrics);
  if (http.add(std::move(connection), *client)) clients.emplace(next_client++, std::move(client));
}

Result<MetricsListener> MetricsListener::open(const std::string& endpoint, std::function<std::string()> metrics) {
  const Result<Listened> where = parse_loopback_endpoint(endpoint);
  if (!where) return tl::unexpected(where.error());
  Result<HttpDaemon> http = HttpDaemon::start(
      {.connections = 2 * kMaxMetricsConnections, .header_bytes = kHeaderBytes, .idle_time = kMetricsConnectionTime});
  if (!http) return tl::unexpected(http.error());
  auto loop = std::make_unique<Loop>(*std::move(http), std::move(metrics));
  Result<FileDescriptor> listening = listen_at(*where, endpoint);
  if (!listening) return tl::unexpected(listening.error());
  loop->listening = *std::move(listening);
  loop->epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll) return fail_errno(errno, "cannot make an epoll descriptor for the metrics listener");
  for (const int fd : {loop->listening.get(), loop->http.fd()}) {
    if (const Result<void> added = loop->watch(fd); !added) return tl::unexpected(added.error());
  }
  return MetricsListener(std::move(loop));
}

MetricsListener::MetricsListener(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
MetricsListener::MetricsListener(MetricsListener&&) noexcept = default;
MetricsListener& MetricsListener::operator=(MetricsListener&&) noexcept = default;
MetricsListener::~MetricsListener() = default;

int MetricsListener::fd() const { return loop_->epoll.get(); }

int MetricsListener::timeout_ms() const {
  std::chrono::milliseconds left = loop_->http.timeout().value_or(std::chrono::milliseconds::max());
  if (!loop_->clients.empty()) {
    const auto until = loop_->clients.begin()->second->deadline() - Clock::now();
    left = std::min(left, std::chrono::ceil<std::chrono::milliseconds>(until));
  }
  if (left == std::chrono::milliseconds::max()) return -1;
  return static_cast<int>(std::max(left, std::chrono::milliseconds(0)).count());
}

void MetricsListener::serve() {
  loop_->end_overdue();
  loop_->http.run();
  std::erase_if(loop_->clients, [](const auto& entry) { return entry.second->is_closed(); });
  loop_->accept_one();
}

std::string MetricsListener::endpoint() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(loop_->listening.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  if (address.ss_family == AF_INET6) {
    return "[::1]:" + std::to_string(ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  return std::string(text.data()) + ":" + std::to_string(ntohs(v4.sin_port));
}

}  // namespace namewall::agent
