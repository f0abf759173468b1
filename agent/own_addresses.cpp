#include "agent/own_addresses.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>

namespace namewall::agent {

Result<OwnAddresses> OwnAddresses::open() {
  OwnAddresses addresses;
  addresses.fd_.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (!addresses.fd_ || ::bind(addresses.fd_.get(), reinterpret_cast<sockaddr*>(&groups), sizeof groups) != 0) {
    return fail_errno(errno, "cannot watch the host's addresses");
  }
  return addresses;
}

Result<std::vector<Address>> OwnAddresses::read() const {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return fail_errno(errno, "cannot read the host's addresses");
  std::set<Address> found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    if (entry->ifa_addr->sa_family == AF_INET) {
      std::array<std::uint8_t, 4> bytes{};
      std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, bytes.size());
      found.insert(Address::v4(bytes));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      std::array<std::uint8_t, 16> bytes{};
      std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr, bytes.size());
      found.insert(Address::v6(bytes));
    }
  }
  ::freeifaddrs(list);
  return std::vector<Address>(found.begin(), found.end());
}

bool OwnAddresses::consume_changes() {
  std::array<char, 8192> message;
  bool changed = false;
  for (;;) {
    const ssize_t count = ::recv(fd_.get(), message.data(), message.size(), MSG_DONTWAIT);
    if (count > 0 || (count < 0 && errno == ENOBUFS)) {
      changed = true;
    } else if (count == 0 || errno != EINTR) {
      return changed;
    }
  }
}

}  // namespace namewall::agent
