// What a component asks for, as Spin reads it: a URL by the WHATWG URL Standard, of which scheme, host and port count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/spin_host.h"

namespace namewall {

struct SpinUrl {
  std::string scheme;                 // lower case
  std::optional<SpinHost> host;       // none: the URL has no authority, or an empty one
  bool is_host_readable = true;       // false: a host that another scheme than http's may have, but that is no host
  std::optional<std::uint16_t> port;  // none: none is written, or it is the one that browsers know for the scheme
  bool has_path = false;              // more than "/"
};

// nullopt: no URL. Tabs and line ends are left out, as are spaces at both ends.
std::optional<SpinUrl> parse_spin_url(std::string_view text);

// "user:pa#ss@host": the user information up to the first `@` is taken as it is. Where the text is no URL with a host,
// `default_scheme` is put before it. nullopt: neither gives a URL with a host.
std::optional<SpinUrl> parse_spin_target(std::string_view text, std::string_view default_scheme);

}  // namespace namewall
