#include "policy/result.h"

#include <cerrno>

namespace namewall {

tl::unexpected<Error> fail_errno(int error_number, std::string what) {
  ErrorKind kind = ErrorKind::kSystem;
  switch (error_number) {
    case EPERM:
    case EACCES:
      kind = ErrorKind::kPermission;
      break;
    case ENOENT:
      kind = ErrorKind::kNotFound;
      break;
    case EEXIST:
    case EBUSY:
      kind = ErrorKind::kConflict;
      break;
    case ENOSYS:
    case EOPNOTSUPP:
      kind = ErrorKind::kUnsupported;
      break;
    case E2BIG:
    case ENOSPC:
      kind = ErrorKind::kLimit;
      break;
    default:
      break;
  }
  return fail(kind, std::move(what), error_number);
}

}  // namespace namewall
