// Result<T>: a value or an Error, for everything that can fail for reasons outside the program.
// Absence is std::optional; a decision (deny) is a value; a programming mistake is an assert.
#pragma once

#include <cstring>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace namewall {

enum class ErrorKind {
  kInvalid,      // input that does not follow its grammar
  kNotFound,     // the object does not exist
  kUnsupported,  // this kernel or host cannot do it
  kPermission,   // a capability or right is missing
  kConflict,     // somebody else holds the object, or it is in the wrong state
  kLimit,        // a bound is reached
  kSystem,       // a system call failed for another reason
};

struct Error {
  ErrorKind kind = ErrorKind::kSystem;
  int error_number = 0;  // errno, 0 when no system call was involved
  std::string what;      // what was tried on which object, a whole clause without a final stop

  std::string message() const {
    return error_number == 0 ? what : what + ": " + std::strerror(error_number);
  }
};

template <typename T = void>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

inline tl::unexpected<Error> fail(ErrorKind kind, std::string what, int error_number = 0) {
  return tl::unexpected<Error>(Error{kind, error_number, std::move(what)});
}

// The failure of a system call: keeps errno and derives the kind from it.
tl::unexpected<Error> fail_errno(int error_number, std::string what);

}  // namespace namewall
