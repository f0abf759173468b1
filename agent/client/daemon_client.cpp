#include "agent/client/daemon_client.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/client/curl_library.h"
#include "policy/escape.h"

namespace namewall::agent {
namespace {

constexpr long kTimeoutSeconds = 60;
constexpr long kConnectTimeoutSeconds = 5;
constexpr std::size_t kMaxErrorBody = 1u << 20;

tl::unexpected<DaemonError> fail_with(int exit_code, std::string sentence) {
  return tl::unexpected<DaemonError>(DaemonError{exit_code, std::move(sentence)});
}

int exit_code_of_status(long http_status) {
  switch (http_status) {
    case 400:
    case 422:
      return kExitInputErrors;
    case 401:
    case 403:
      return kExitNotPermitted;
    case 404:
      return kExitNoSuchObject;
    case 409:
      return kExitConflict;
    case 413:
    case 429:
    case 507:
      return kExitLimit;
    case 501:
      return kExitUnsupported;
    default:
      return kExitOwnFailure;
  }
}

// What libcurl hands over, and what becomes of it.
struct Transfer {
  const CurlLibrary* library = nullptr;
  CURL* handle = nullptr;
  const std::function<bool(std::string_view)>* handle_line = nullptr;  // nullptr: collect the body
  std::string body;                                                    // of a stream: the line that is not whole yet
  bool is_too_large = false;
  bool is_stopped = false;

  bool is_success() const {
    long status = 0;
    library->easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
  }

  bool take(std::string_view bytes) {
    body += bytes;
    const bool is_streaming = handle_line != nullptr && is_success();
    if (is_streaming && !hand_over_lines()) return false;
    const std::size_t bound = is_streaming ? kMaxEventLine : is_success() ? kMaxAnswer : kMaxErrorBody;
    is_too_large = body.size() > bound;
    return !is_too_large;
  }

  bool hand_over_lines() {
    std::size_t begin = 0;
    for (std::size_t end = body.find('\n'); end != std::string::npos; end = body.find('\n', begin)) {
      const std::string_view line(body.data() + begin, end - begin);
      if (!line.empty() && !(*handle_line)(line)) {
        is_stopped = true;
        return false;
      }
      begin = end + 1;
    }
    body.erase(0, begin);
    return true;
  }
};

std::size_t on_bytes(char* bytes, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->take({bytes, size * count}) ? size * count : 0;
}

struct Request {
  std::string method, target, body;
  bool is_stream = false;
};

DaemonError error_of(CURLcode result, const Transfer& transfer, const std::string& socket_path) {
  const std::string at = escape_for_display(socket_path);
  if (transfer.is_too_large) return {kExitOwnFailure, "the daemon at " + at + " answers more than can be read"};
  long error_number = 0;
  transfer.library->easy_getinfo(transfer.handle, CURLINFO_OS_ERRNO, &error_number);
  if (result == CURLE_COULDNT_CONNECT && (error_number == EACCES || error_number == EPERM)) {
    return {kExitNotPermitted,
            "the control socket " + at + " is closed to this user: root or the group namewall may ask"};
  }
  if (result == CURLE_COULDNT_CONNECT) {
    return {kExitNoDaemon, "nothing answers at " + at + ": namewalld does not run (" +
                               std::strerror(error_number != 0 ? static_cast<int>(error_number) : ENOENT) + ")"};
  }
  if (result == CURLE_OPERATION_TIMEDOUT) {
    return {kExitOwnFailure, "the daemon at " + at + " has not answered for " + std::to_string(kTimeoutSeconds) + " s"};
  }
  if (result == CURLE_GOT_NOTHING || result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR) {
    return {kExitNoDaemon, "the daemon at " + at + " closed the connection without an answer"};
  }
  return {kExitOwnFailure, "cannot ask the daemon at " + at + ": " + transfer.library->easy_strerror(result)};
}

// For a stream the body of a success has gone to `handle_line` already.
Answer<std::string> perform(const std::string& socket_path, const Request& request,
                            const std::function<bool(std::string_view)>* handle_line) {
  if (socket_path.size() >= 108) {  // sun_path, unix(7)
    return fail_with(kExitOwnFailure, "the path of the control socket is too long: " + escape_for_display(socket_path));
  }
  const CurlLibrary* const library = curl_library();
  if (library == nullptr) return fail_with(kExitOwnFailure, "libcurl.so.4, which asks the daemon, cannot be loaded");
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(library->easy_init(), library->easy_cleanup);
  if (!handle) return fail_with(kExitOwnFailure, "libcurl does not start");
  CURL* const curl = handle.get();
  Transfer transfer;
  transfer.library = library;
  transfer.handle = curl;
  transfer.handle_line = handle_line;
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(
      library->slist_append(nullptr, "Content-Type: application/json"), library->slist_free_all);
  const std::string url = "http://namewall" + request.target;
  library->easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path.c_str());
  library->easy_setopt(curl, CURLOPT_URL, url.c_str());
  library->easy_setopt(curl, CURLOPT_PROXY, "");  // whatever http_proxy says
  library->easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  library->easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  library->easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  library->easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectTimeoutSeconds);
  if (!request.is_stream) library->easy_setopt(curl, CURLOPT_TIMEOUT, kTimeoutSeconds);
  if (!request.body.empty()) {
    library->easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    library->easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    library->easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  } else if (request.method == "POST") {
    library->easy_setopt(curl, CURLOPT_POSTFIELDS, "");
  }
  library->easy_setopt(curl, CURLOPT_WRITEFUNCTION, &on_bytes);
  library->easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);

  const CURLcode result = library->easy_perform(curl);
  if (transfer.is_stopped) return std::string();
  if (result != CURLE_OK && !(request.is_stream && result == CURLE_PARTIAL_FILE)) {
    return tl::unexpected(error_of(result, transfer, socket_path));
  }
  if (transfer.is_success()) return std::move(transfer.body);
  long status = 0;
  library->easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return tl::unexpected(read_daemon_error(status, transfer.body));
}

}  // namespace

tl::unexpected<DaemonError> to_daemon_error(const Error& error) {
  return fail_with(exit_code_of(error.kind), error.message());
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kUnreserved =  // RFC 3986 section 2.3
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::array<char, 16> kHex = {'0', '1', '2', '3', '4', '5', '6', '7',
                                         '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'};
  std::string encoded;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (kUnreserved.find(character) != std::string_view::npos) {
      encoded += character;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  // A lone "." or ".." is a step in a path, whoever reads it.
  if (encoded == "." || encoded == "..") encoded.replace(0, 1, "%2E");
  return encoded;
}

DaemonError read_daemon_error(long http_status, const std::string& body) {
  DaemonError error{exit_code_of_status(http_status), ""};
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (const auto told = json.is_object() ? json.find("error") : json.end(); told != json.end() && told->is_object()) {
    const auto sentence = told->find("sentence");
    const auto exit_code = told->find("exit_code");
    if (sentence != told->end() && sentence->is_string()) error.sentence = sentence->get<std::string>();
    if (exit_code != told->end() && exit_code->is_number_integer()) {
      const auto code = exit_code->get<std::int64_t>();
      if (code > 0 && code < 256) error.exit_code = static_cast<int>(code);
    }
  }
  if (error.sentence.empty())
    error.sentence = "the daemon answers " + std::to_string(http_status) + " without a reason";
  return error;
}

DaemonClient::DaemonClient(std::string socket_path) : socket_path_(std::move(socket_path)) {
  if (!socket_path_.empty()) return;
  const char* chosen = std::getenv("NAMEWALL_SOCKET");
  socket_path_ = chosen != nullptr && *chosen != '\0' ? chosen : kDefaultControlSocket;
}

Answer<std::string> DaemonClient::get(const std::string& target) const {
  return perform(socket_path_, {"GET", target, "", false}, nullptr);
}

Answer<std::string> DaemonClient::send(const std::string& method, const std::string& target,
                                       const std::string& body) const {
  return perform(socket_path_, {method, target, body, false}, nullptr);
}

Answer<void> DaemonClient::stream(const std::string& target,
                                  const std::function<bool(std::string_view line)>& handle) const {
  const Answer<std::string> rest = perform(socket_path_, {"GET", target, "", true}, &handle);
  if (!rest) return tl::unexpected(rest.error());
  return {};
}

}  // namespace namewall::agent
