// An answer of the control socket before it becomes HTTP.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "policy/result.h"

namespace namewall::agent {

// A body that comes in pieces.
class BodySource {
 public:
  enum class State {
    kMore,  // `piece` has been added to
    kWait,  // nothing now: ask again when told
    kEnd,
  };
  virtual ~BodySource() = default;
  virtual State next(std::string& piece) = 0;
  // The host has new events. true: next() has something for a reader that waits.
  virtual bool take_new() { return false; }
  virtual bool is_endless() const { return false; }
  virtual void close() {}  // next() ends the body
};

struct Reply {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::shared_ptr<BodySource> source;  // instead of `body`
  std::string allow;                   // of 405 and OPTIONS: the methods of this path
};

// {"error": {"code", "sentence", "exit_code"}}. Codes are stable.
struct ErrorForm {
  unsigned status;
  std::string_view code;
  int exit_code;  // what `namewall` ends with
};
ErrorForm error_form(ErrorKind kind);

// What HTTP knows and ErrorKind does not.
inline constexpr ErrorForm kPolicyErrors{422, "policy_invalid", 1};
inline constexpr ErrorForm kDelegatedCgroup{409, "delegated", 7};  // of POST /v1/restrict
inline constexpr ErrorForm kThreadedCgroup{409, "threaded", 7};
inline constexpr ErrorForm kFrozenCgroup{409, "frozen", 7};
inline constexpr ErrorForm kUnknownPath{404, "unknown_path", 1};
inline constexpr ErrorForm kWrongMethod{405, "wrong_method", 1};
inline constexpr ErrorForm kTooSlow{408, "too_slow", 8};
inline constexpr ErrorForm kBodyTooLong{413, "body_too_long", 1};
inline constexpr ErrorForm kHeaderTooLong{431, "header_too_long", 1};
inline constexpr ErrorForm kTooManyConnections{503, "too_many_connections", 8};

Reply error_reply(const ErrorForm& form, std::string_view sentence);
Reply error_reply(const Error& error);

// A whole HTTP response that ends its connection, for where no request could be read.
std::string closing_response(const ErrorForm& form, std::string_view sentence);

}  // namespace namewall::agent
