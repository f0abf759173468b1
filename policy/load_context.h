// What a policy text may refer to beyond itself. The loader reads no file: whoever calls it brings these.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "policy/policy.h"
#include "policy/result.h"

namespace namewall {

// A service of the IANA registry as /etc/services lists it.
struct Service {
  std::string name;  // lower case, an alias is an entry of its own
  Port port;
  Protocol protocol = Protocol::kTcp;
};

struct LoadContext {
  std::span<const Group> groups = {};      // the operator's own first: the first of a name counts
  std::span<const Service> services = {};  // sorted by name
  // The text of a Spin manifest. Errors: it cannot be read, or others than root may write it where that matters.
  std::function<Result<std::string>(const std::string& path)> read_manifest = {};
};

}  // namespace namewall
