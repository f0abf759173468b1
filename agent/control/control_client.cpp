#include "agent/control/control_client.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <utility>

namespace namewall::agent {
namespace {

std::string in_seconds(std::chrono::milliseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

std::string body_sentence(std::size_t bound) {
  if (bound == 0) return "this request takes no body";
  return "this request takes a body of at most " + std::to_string(bound) + " bytes";
}

}  // namespace

void ControlClient::start_clock() {
  if (!deadline_) deadline_ = Clock::now() + limits_.request_time;
}

void ControlClient::bytes_arrived() {
  int unread = 0;
  if (!answering_ && ::ioctl(fd_, FIONREAD, &unread) == 0 && unread > 0) start_clock();
}

void ControlClient::say_and_close(const ErrorForm& form, std::string_view sentence) const {
  const std::string response = closing_response(form, sentence);
  // What does not fit is lost: the client is being given up.
  [[maybe_unused]] const ssize_t sent = ::send(fd_, response.data(), response.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(fd_, SHUT_RDWR);
}

void ControlClient::end_overdue() {
  deadline_.reset();
  if (answering_) {
    ::shutdown(fd_, SHUT_RDWR);
  } else {
    say_and_close(kTooSlow, "the request was not complete within " + in_seconds(limits_.request_time));
  }
}

bool ControlClient::peer_left() {
  if (!source_) return false;
  source_->close();
  return true;
}

void ControlClient::request_began(std::string_view target) {
  target_ = target;
  start_clock();
}

std::size_t ControlClient::max_body() const {
  switch (request_.route->body) {
    case BodySize::kPolicy:
      return limits_.body_bytes;
    case BodySize::kSmall:
      return limits_.small_body_bytes;
    case BodySize::kNone:
      break;
  }
  return 0;
}

Reply ControlClient::begin_answer(Reply reply) {
  answering_ = true;
  source_ = reply.source;
  deadline_.reset();
  if (!source_ || !source_->is_endless()) deadline_ = Clock::now() + limits_.answer_time;
  return reply;
}

std::optional<Reply> ControlClient::headers_read(std::string_view method, std::size_t header_bytes,
                                                 std::optional<std::uint64_t> body_bytes) {
  if (header_bytes > limits_.header_bytes) {
    const std::string bound = std::to_string(limits_.header_bytes);
    return begin_answer(error_reply(kHeaderTooLong, "the header is longer than " + bound + " bytes"));
  }
  RoutedRequest routed = route_request(method, target_);
  if (routed.refusal) return begin_answer(std::move(*routed.refusal));
  request_ = std::move(routed.request);
  const Result<Peer> peer = endpoints_.admit(*identity_, request_);
  if (!peer) return begin_answer(error_reply(peer.error()));
  if (body_bytes.value_or(0) > max_body()) return begin_answer(error_reply(kBodyTooLong, body_sentence(max_body())));
  return std::nullopt;
}

bool ControlClient::body_part(std::string_view bytes) {
  if (request_.body.size() + bytes.size() > max_body()) {
    say_and_close(kBodyTooLong, body_sentence(max_body()));
    return false;
  }
  request_.body += bytes;
  return true;
}

Reply ControlClient::answer() {
  Reply reply = begin_answer(endpoints_.answer(*identity_, request_));
  request_ = {};
  return reply;
}

void ControlClient::request_ended() {
  answering_ = false;
  deadline_.reset();
  source_.reset();
  request_ = {};
  target_.clear();
}

}  // namespace namewall::agent
