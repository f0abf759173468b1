// One connection of the control socket: who it is, the request it makes, and by when it must be done with it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "agent/control/control_limits.h"
#include "agent/control/endpoints.h"
#include "agent/control/http_daemon.h"
#include "agent/control/peer_identity.h"

namespace namewall::agent {

class ControlClient : public HttpConnection {
 public:
  using Clock = std::chrono::steady_clock;

  // `fd` belongs to the HTTP library until closed(). `holder`: whose share of the connections this one is.
  ControlClient(int fd, std::unique_ptr<PeerIdentity> identity, std::string holder, Endpoints& endpoints,
                const ControlLimits& limits)
      : fd_(fd), identity_(std::move(identity)), holder_(std::move(holder)), endpoints_(endpoints), limits_(limits) {}

  const std::string& holder() const { return holder_; }
  bool is_closed() const { return closed_; }
  std::optional<Clock::time_point> deadline() const { return deadline_; }
  void end_overdue();    // says so where the client can still hear it, and breaks the connection
  void bytes_arrived();  // the clock of a request begins with its first byte
  bool take_new() { return source_ && source_->take_new(); }  // true: wake it
  bool peer_left();                                           // true: wake it, so that its body ends

  void request_began(std::string_view target) override;
  std::optional<Reply> headers_read(std::string_view method, std::size_t header_bytes,
                                    std::optional<std::uint64_t> body_bytes) override;
  bool body_part(std::string_view bytes) override;
  Reply answer() override;
  void request_ended() override;
  void closed() override { closed_ = true; }

 private:
  void start_clock();
  Reply begin_answer(Reply reply);
  void say_and_close(const ErrorForm& form, std::string_view sentence) const;
  std::size_t max_body() const;

  int fd_;
  std::unique_ptr<PeerIdentity> identity_;
  std::string holder_;
  Endpoints& endpoints_;
  const ControlLimits& limits_;
  std::optional<Clock::time_point> deadline_;
  std::string target_;
  ControlRequest request_;
  std::shared_ptr<BodySource> source_;
  bool answering_ = false;
  bool closed_ = false;
};

}  // namespace namewall::agent
