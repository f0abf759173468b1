#include "agent/command.h"

namespace namewall::agent {

int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
      return kExitInputErrors;
    case ErrorKind::kNotFound:
      return kExitNoSuchObject;
    case ErrorKind::kUnsupported:
      return kExitUnsupported;
    case ErrorKind::kPermission:
      return kExitNotPermitted;
    case ErrorKind::kConflict:
      return kExitConflict;
    case ErrorKind::kLimit:
      return kExitLimit;
    case ErrorKind::kSystem:
      return kExitOwnFailure;
  }
  return kExitOwnFailure;
}

}  // namespace namewall::agent
