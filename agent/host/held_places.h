// The DNS proxy's sockets at the service manager, so that questions wait in them while the daemon is replaced. The
// names say whose they are:
//   proxy.<netns cookie>.<resolver>-<port>.udp (and .tcp)    the sockets of one place
//   proxy.<netns cookie>.netns (and .diagnosis)              of another namespace than the daemon's own
// with the cookie in hexadecimal, and ':' of an IPv6 address as '_'.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/host/service_notify.h"
#include "agent/proxy/proxy_sockets.h"
#include "policy/file_descriptor.h"
#include "policy/resolv_conf.h"

namespace namewall::agent {

enum class HeldKind { kUdp, kTcp, kNetns, kDiagnosis };

struct HeldName {
  std::uint64_t netns_cookie = 0;
  HeldKind kind = HeldKind::kUdp;
  ResolverAddress resolver;  // of kUdp and kTcp
  friend bool operator==(const HeldName&, const HeldName&) = default;
};
std::string text_of(const HeldName& name);
std::optional<HeldName> parse_held_name(std::string_view text);

// What an earlier daemon left of one namespace; only what is what its name says.
struct AdoptedNetns {
  FileDescriptor netns, diagnosis;
  std::map<ResolverAddress, ProxySockets> places;
};

class HeldPlaces {
 public:
  // Of FileDescriptorStoreMax= in the unit; the control socket is one more. Beyond it sockets do not outlive the
  // daemon.
  static constexpr std::size_t kMaxHeld = 2048;

  explicit HeldPlaces(ServiceNotify& notify) : notify_(notify) {}

  // Sorts out what take_held() returned, by netns cookie. What nobody can use is released.
  std::map<std::uint64_t, AdoptedNetns> adopt(std::vector<HeldDescriptor> held);

  // Without room, or a manager that takes it, it is not held: no error. What is held already stays.
  void hold(const ResolverAddress& resolver, std::uint64_t netns_cookie, const ProxySockets& sockets);
  void hold_netns(std::uint64_t netns_cookie, int netns, int diagnosis);
  void release(std::uint64_t netns_cookie);
  void release(std::uint64_t netns_cookie, const ResolverAddress& resolver);
  std::size_t size() const { return names_.size(); }

 private:
  void hold_one(const HeldName& name, int fd);

  ServiceNotify& notify_;
  std::set<std::string> names_;
};

}  // namespace namewall::agent
