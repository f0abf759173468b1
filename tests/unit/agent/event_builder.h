// Events as a backend would report them, for the tests of what is told about them.
#pragma once

#include <netinet/in.h>

#include <string>

#include "policy/event.h"

namespace namewall::agent {

inline Event refused_lookup(const std::string& name, std::uint16_t type = 1) {
  Event event;
  event.hook = Hook::kQuestion;
  event.reason = NW_REASON_NAME_NOT_ALLOWED;
  event.ip_protocol = IPPROTO_UDP;
  event.address = Address::v4({127, 0, 0, 53});
  event.port = Port{53};
  event.name = name;
  event.question_type = type;
  event.pid = 4188;
  event.uid = 1000;
  event.command = "npm";
  return event;
}

inline Event refused_connect(const Address& address, std::uint16_t port, const std::string& name = "") {
  Event event;
  event.hook = Hook::kConnect;
  event.reason = name.empty() ? NW_REASON_NOT_LOOKED_UP : NW_REASON_PORT;
  event.ip_protocol = IPPROTO_TCP;
  event.address = address;
  event.port = Port{port};
  event.name = name;
  event.pid = 12;
  event.uid = 1000;
  event.command = "curl";
  return event;
}

inline const Address kExample4 = Address::v4({192, 0, 2, 7});
inline const Address kExample6 = Address::v6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});

}  // namespace namewall::agent
