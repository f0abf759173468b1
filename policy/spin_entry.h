// One entry of Spin's `allowed_outbound_hosts`, `scheme://host[:port]`, and what it matches: Spin's own meaning, of its
// `main` branch. What namewall makes of it is spin_rules.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "policy/result.h"
#include "policy/spin_address.h"
#include "policy/spin_host.h"
#include "policy/spin_url.h"

namespace namewall {

struct SpinAnyHost {
  friend bool operator==(const SpinAnyHost&, const SpinAnyHost&) = default;
};
struct SpinSelf {  // the application itself
  friend bool operator==(const SpinSelf&, const SpinSelf&) = default;
};
struct SpinSubdomains {  // "*.example.com": any number of labels, never the apex
  std::string of;
  friend bool operator==(const SpinSubdomains&, const SpinSubdomains&) = default;
};
using SpinHosts = std::variant<SpinAnyHost, SpinSelf, SpinNetwork, SpinSubdomains, SpinHost>;

// Half-open, as written: 5..5 and 2..1 are accepted and hold nothing. `any`: every port.
struct SpinPorts {
  bool any = false;
  bool is_range = false;  // written as A..B
  std::uint32_t first = 0;
  std::uint32_t end = 0;
  bool contains(std::uint16_t port) const { return any || (port >= first && port < end); }
};

// An entry as written, cut at its separators.
struct SpinPieces {
  std::string_view scheme;
  std::string_view host;
  std::string_view port;  // "": none is written
};
Result<SpinPieces> split_spin_entry(std::string_view text);

struct SpinEntry {
  std::string scheme;  // "*", or letters as written: they are compared with case
  SpinHosts host;
  SpinPorts ports;

  // Errors: one sentence that says what is wrong with the entry.
  static Result<SpinEntry> parse(std::string_view text);

  bool allows_scheme(std::string_view name) const { return scheme == "*" || scheme == name; }
  // An empty port is that of the target's scheme.
  bool allows(const SpinUrl& target) const;
  // A request to the application itself, by http or https; the port does not matter.
  bool allows_self() const;
};

// The port that Spin knows for a scheme: postgres, mysql, redis, mqtt, http and https alone.
std::optional<std::uint16_t> spin_default_port(std::string_view scheme);

inline constexpr std::string_view kSpinInternal = "spin.internal";

}  // namespace namewall
