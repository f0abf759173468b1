#include "agent/control/http_daemon.h"

#include <microhttpd.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <string>
#include <utility>

namespace namewall::agent {
namespace {

constexpr std::size_t kBlock = 16u << 10;  // of a body that comes in pieces

// A connection as the library sees it. It remains until the library says that it is closed.
struct Served {
  HttpConnection* connection = nullptr;
  MHD_Connection* handle = nullptr;
  enum class Phase { kBetween, kHeaders, kBody, kAnswered } phase = Phase::kBetween;
  bool waits = false;  // suspended: the library looks at it again only when told
};

Served* served_by(MHD_Connection* handle) {
  const MHD_ConnectionInfo* info = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info == nullptr ? nullptr : static_cast<Served*>(info->socket_context);
}

// A body being sent. `rest` is what a piece had more than the block could take.
struct Sending {
  std::shared_ptr<BodySource> source;
  Served* served;
  std::string rest;
  std::size_t rest_at = 0;
};

ssize_t send_piece(void* context, std::uint64_t, char* block, std::size_t size) {
  auto& sending = *static_cast<Sending*>(context);
  std::size_t filled = 0;
  while (filled < size) {
    if (sending.rest_at == sending.rest.size()) {
      sending.rest.clear();
      sending.rest_at = 0;
      const BodySource::State state = sending.source->next(sending.rest);
      if (state == BodySource::State::kMore) continue;
      if (filled > 0) break;
      if (state == BodySource::State::kEnd) return MHD_CONTENT_READER_END_OF_STREAM;
      sending.served->waits = true;
      MHD_suspend_connection(sending.served->handle);
      return 0;
    }
    const std::size_t count = std::min(size - filled, sending.rest.size() - sending.rest_at);
    std::memcpy(block + filled, sending.rest.data() + sending.rest_at, count);
    filled += count;
    sending.rest_at += count;
  }
  return static_cast<ssize_t>(filled);
}

MHD_Result queue(MHD_Connection* handle, Served& served, const Reply& reply) {
  served.phase = Served::Phase::kAnswered;
  MHD_Response* response = nullptr;
  if (reply.source) {
    auto sending = std::make_unique<Sending>(Sending{reply.source, &served, "", 0});
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kBlock, &send_piece, sending.get(),
                                                 [](void* context) { delete static_cast<Sending*>(context); });
    if (response != nullptr) sending.release();  // the response deletes it
  } else {
    response =
        MHD_create_response_from_buffer(reply.body.size(), const_cast<char*>(reply.body.data()), MHD_RESPMEM_MUST_COPY);
  }
  if (response == nullptr) return MHD_NO;
  if (reply.status != MHD_HTTP_NO_CONTENT) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply.content_type.c_str());
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  }
  if (!reply.allow.empty()) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply.allow.c_str());
  const MHD_Result queued = MHD_queue_response(handle, reply.status, response);
  MHD_destroy_response(response);
  return queued;
}

std::size_t header_bytes_of(MHD_Connection* handle) {
  const MHD_ConnectionInfo* info = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  return info == nullptr ? 0 : info->header_size;
}

std::optional<std::uint64_t> body_bytes_of(MHD_Connection* handle) {
  const char* text = MHD_lookup_connection_value(handle, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  std::uint64_t bytes = 0;
  if (text == nullptr || std::from_chars(text, text + std::strlen(text), bytes).ec != std::errc()) return std::nullopt;
  return bytes;
}

// The library calls this first with the headers, then for each part of the body, then once more.
MHD_Result handle_request(void*, MHD_Connection* handle, const char*, const char* method, const char*,
                          const char* upload, std::size_t* upload_bytes, void**) {
  Served* served = served_by(handle);
  if (served == nullptr || served->phase == Served::Phase::kBetween) return MHD_NO;
  HttpConnection& connection = *served->connection;
  if (served->phase == Served::Phase::kHeaders) {
    served->phase = Served::Phase::kBody;
    const auto refusal = connection.headers_read(method, header_bytes_of(handle), body_bytes_of(handle));
    return refusal ? queue(handle, *served, *refusal) : MHD_YES;
  }
  if (*upload_bytes > 0) {
    const bool goes_on = connection.body_part({upload, std::exchange(*upload_bytes, 0)});
    return goes_on ? MHD_YES : MHD_NO;
  }
  return queue(handle, *served, connection.answer());
}

void* note_request_line(void*, const char* target, MHD_Connection* handle) {
  if (Served* served = served_by(handle)) {
    served->phase = Served::Phase::kHeaders;
    served->connection->request_began(target);
  }
  return nullptr;
}

void note_request_end(void*, MHD_Connection* handle, void**, MHD_RequestTerminationCode) {
  Served* served = served_by(handle);
  if (served == nullptr || served->phase == Served::Phase::kBetween) return;
  served->phase = Served::Phase::kBetween;
  served->connection->request_ended();
}

}  // namespace

struct HttpDaemon::State {
  ~State();
  static void note_connection(void* self, MHD_Connection* handle, void** socket_context,
                              MHD_ConnectionNotificationCode code);

  MHD_Daemon* daemon = nullptr;
  std::map<int, Served> served;  // by descriptor; its address stays
};

void HttpDaemon::State::note_connection(void* self, MHD_Connection* handle, void** socket_context,
                                        MHD_ConnectionNotificationCode code) {
  auto& state = *static_cast<State*>(self);
  const MHD_ConnectionInfo* info = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (info == nullptr) return;
  const auto found = state.served.find(info->connect_fd);
  if (found == state.served.end()) return;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    found->second.handle = handle;
    *socket_context = &found->second;
    return;
  }
  *socket_context = nullptr;
  HttpConnection& connection = *found->second.connection;
  state.served.erase(found);
  connection.closed();
}

HttpDaemon::State::~State() {
  if (daemon == nullptr) return;
  // The library may not be stopped while a connection is suspended.
  for (auto& [fd, one] : served) {
    if (std::exchange(one.waits, false)) MHD_resume_connection(one.handle);
  }
  MHD_stop_daemon(daemon);
}

Result<HttpDaemon> HttpDaemon::start(const Options& options) {
  constexpr unsigned kFlags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
  auto state = std::make_unique<State>();
  // The library's memory of a connection holds the header and, after it, what is read or sent next.
  const std::size_t memory = options.header_bytes + (16u << 10);
  const auto seconds = static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(options.idle_time).count());
  state->daemon = MHD_start_daemon(
      kFlags, 0, nullptr, nullptr, &handle_request, nullptr, MHD_OPTION_CONNECTION_LIMIT, options.connections,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory, MHD_OPTION_CONNECTION_TIMEOUT, seconds, MHD_OPTION_STRICT_FOR_CLIENT,
      1, MHD_OPTION_URI_LOG_CALLBACK, &note_request_line, nullptr, MHD_OPTION_NOTIFY_COMPLETED, &note_request_end,
      nullptr, MHD_OPTION_NOTIFY_CONNECTION, &State::note_connection, state.get(), MHD_OPTION_END);
  if (state->daemon == nullptr) return fail_errno(errno, "cannot start the HTTP library");
  return HttpDaemon(std::move(state));
}

HttpDaemon::HttpDaemon(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpDaemon::HttpDaemon(HttpDaemon&&) noexcept = default;
HttpDaemon& HttpDaemon::operator=(HttpDaemon&&) noexcept = default;
HttpDaemon::~HttpDaemon() = default;

int HttpDaemon::fd() const { return MHD_get_daemon_info(state_->daemon, MHD_DAEMON_INFO_EPOLL_FD)->listen_fd; }

std::optional<std::chrono::milliseconds> HttpDaemon::timeout() const {
  MHD_UNSIGNED_LONG_LONG milliseconds = 0;
  if (MHD_get_timeout(state_->daemon, &milliseconds) != MHD_YES) return std::nullopt;
  return std::chrono::milliseconds(std::min<MHD_UNSIGNED_LONG_LONG>(milliseconds, 1u << 30));
}

void HttpDaemon::run() { MHD_run(state_->daemon); }

Result<void> HttpDaemon::add(FileDescriptor fd, HttpConnection& connection) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  state_->served[fd.get()] = {&connection, nullptr, Served::Phase::kBetween, false};
  const int number = fd.release();
  if (MHD_add_connection(state_->daemon, number, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
      MHD_YES) {
    return {};
  }
  const int error_number = errno;
  state_->served.erase(number);
  return fail_errno(error_number, "the HTTP library takes no more connections");
}

void HttpDaemon::wake(HttpConnection& connection) {
  for (auto& [fd, one] : state_->served) {
    if (one.connection == &connection && std::exchange(one.waits, false)) MHD_resume_connection(one.handle);
  }
}

}  // namespace namewall::agent
