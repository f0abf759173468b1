#include "policy/listen_ports.h"

#include <array>

#include "policy/escape.h"

namespace namewall {

Result<PortSet> parse_listen_ports(std::string_view text) {
  constexpr std::array kTcp = {Protocol::kTcp};
  constexpr std::array kUdp = {Protocol::kUdp};
  const std::size_t colon = text.find(':');
  const std::string_view scheme = text.substr(0, colon);
  if (colon == std::string_view::npos || (scheme != "tcp" && scheme != "udp")) {
    return fail(ErrorKind::kInvalid, quote_for_display(text) +
                                         " is not a port to listen on; accepted: tcp or udp, `:` and ports, such as "
                                         "\"tcp:8080\", \"tcp:8000-8100\", \"udp:53,123\", \"tcp:*\"");
  }
  auto ports = parse_ports(text.substr(colon + 1), scheme == "tcp" ? std::span(kTcp) : std::span(kUdp));
  if (!ports) return fail(ErrorKind::kInvalid, quote_for_display(text) + ": " + ports.error().what);
  return ports;
}

}  // namespace namewall
