#include "nft/conntrack.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <vector>

namespace namewall::nft {
namespace {

// Of CTA_FILTER_ORIG_FLAGS; the kernel keeps the names to itself (net/netfilter/nf_internals.h). Addresses are left to
// us: Linux 6.18 leaves out the IPv6 entries that have the filter's address, and gives the others.
constexpr std::uint32_t kFilterProtocol = 1u << 3, kFilterDestinationPort = 1u << 5;

using Attributes = std::array<const nlattr*, CTA_MAX + 1>;

struct End {
  std::optional<Address> address;
  std::uint16_t port = 0;
};
struct Tuple {
  End source, destination;
  std::uint8_t protocol = 0;
};
struct Entry {
  std::vector<std::uint8_t> original;  // CTA_TUPLE_ORIG, as it came
  std::optional<std::uint16_t> zone;   // in the network's order
  std::uint8_t family = 0;
};

void for_each_nested(const nlattr& nest, const std::function<void(const nlattr&)>& each) {
  auto left = static_cast<int>(mnl_attr_get_payload_len(&nest));
  for (const auto* attribute = static_cast<const nlattr*>(mnl_attr_get_payload(&nest)); mnl_attr_ok(attribute, left);
       attribute = mnl_attr_next(attribute)) {
    each(*attribute);
    left -= static_cast<int>(MNL_ALIGN(attribute->nla_len));
  }
}

std::optional<Address> read_address(const nlattr& attribute) {
  const auto* bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(&attribute));
  if (mnl_attr_get_payload_len(&attribute) == 4) {
    std::array<std::uint8_t, 4> address{};
    std::copy_n(bytes, address.size(), address.begin());
    return Address::v4(address);
  }
  if (mnl_attr_get_payload_len(&attribute) != 16) return std::nullopt;
  std::array<std::uint8_t, 16> address{};
  std::copy_n(bytes, address.size(), address.begin());
  return Address::v6(address);
}

std::uint16_t read_port(const nlattr& attribute) {
  return mnl_attr_get_payload_len(&attribute) == 2 ? ntohs(mnl_attr_get_u16(&attribute)) : std::uint16_t{0};
}

Tuple read_tuple(const nlattr* tuple) {
  Tuple out;
  if (tuple == nullptr) return out;
  for_each_nested(*tuple, [&out](const nlattr& part) {
    const auto part_type = mnl_attr_get_type(&part);
    for_each_nested(part, [&out, part_type](const nlattr& value) {
      const auto type = mnl_attr_get_type(&value);
      if (part_type == CTA_TUPLE_IP) {
        if (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC) out.source.address = read_address(value);
        if (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST) out.destination.address = read_address(value);
      } else if (part_type == CTA_TUPLE_PROTO) {
        if (type == CTA_PROTO_NUM) out.protocol = mnl_attr_get_u8(&value);
        if (type == CTA_PROTO_SRC_PORT) out.source.port = read_port(value);
        if (type == CTA_PROTO_DST_PORT) out.destination.port = read_port(value);
      }
    });
  });
  return out;
}

// Whether the answers come from a place of the proxy for this resolver: the flow goes its way already.
bool leads_to_place(const Tuple& original, const Tuple& reply, std::span<const ProxyPlace> places) {
  return std::any_of(places.begin(), places.end(), [&](const ProxyPlace& place) {
    const int protocol = place.protocol == Protocol::kTcp ? IPPROTO_TCP : IPPROTO_UDP;
    return place.resolver.address == original.destination.address &&
           place.resolver.port == Port{original.destination.port} && protocol == original.protocol &&
           place.port == Port{reply.source.port} && reply.source.address != original.destination.address;
  });
}

class Talk {
 public:
  explicit Talk(int socket) : socket_(socket) {}

  // Entries to this resolver over this protocol. A kernel without the filter (before 5.8) gives all.
  Result<std::vector<Entry>> find(const ResolverAddress& resolver, std::uint8_t protocol,
                                  std::span<const ProxyPlace> places) {
    auto found = find(resolver, protocol, places, true);
    // EINVAL: nobody tracks connections here, or the kernel takes another filter.
    return found || found.error().error_number != EINVAL ? found : find(resolver, protocol, places, false);
  }

  // Whether there was one.
  Result<bool> remove(const Entry& entry) {
    nlmsghdr& message = begin(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, entry.family);
    mnl_attr_put(&message, CTA_TUPLE_ORIG | NLA_F_NESTED, entry.original.size(), entry.original.data());
    if (entry.zone) mnl_attr_put_u16(&message, CTA_ZONE, *entry.zone);
    const auto answered = exchange(message, [](const nlmsghdr&) {});
    if (answered) return true;
    if (answered.error().kind == ErrorKind::kNotFound) return false;
    return tl::unexpected(answered.error());
  }

 private:
  Result<std::vector<Entry>> find(const ResolverAddress& resolver, std::uint8_t protocol,
                                  std::span<const ProxyPlace> places, bool with_filter) {
    const bool is_v4 = resolver.address.is_v4();
    nlmsghdr& message = begin(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, is_v4 ? AF_INET : AF_INET6);
    if (with_filter) put_filter(message, resolver, protocol);
    std::vector<Entry> found;
    auto answered = exchange(message, [&](const nlmsghdr& answer) {
      Attributes attributes{};
      mnl_attr_parse(&answer, sizeof(nfgenmsg), collect, &attributes);
      const Tuple original = read_tuple(attributes[CTA_TUPLE_ORIG]);
      if (original.destination.address != resolver.address || original.destination.port != resolver.port.number ||
          original.protocol != protocol || leads_to_place(original, read_tuple(attributes[CTA_TUPLE_REPLY]), places)) {
        return;
      }
      Entry& entry = found.emplace_back();
      const auto* bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attributes[CTA_TUPLE_ORIG]));
      entry.original.assign(bytes, bytes + mnl_attr_get_payload_len(attributes[CTA_TUPLE_ORIG]));
      if (const nlattr* zone = attributes[CTA_ZONE]) entry.zone = mnl_attr_get_u16(zone);
      entry.family = is_v4 ? AF_INET : AF_INET6;
    });
    if (!answered) return tl::unexpected(answered.error());
    return found;
  }

  static void put_filter(nlmsghdr& message, const ResolverAddress& resolver, std::uint8_t protocol) {
    nlattr* tuple = mnl_attr_nest_start(&message, CTA_TUPLE_ORIG);
    nlattr* ports = mnl_attr_nest_start(&message, CTA_TUPLE_PROTO);
    mnl_attr_put_u8(&message, CTA_PROTO_NUM, protocol);
    mnl_attr_put_u16(&message, CTA_PROTO_DST_PORT, htons(resolver.port.number));
    mnl_attr_nest_end(&message, ports);
    mnl_attr_nest_end(&message, tuple);
    nlattr* filter = mnl_attr_nest_start(&message, CTA_FILTER);
    mnl_attr_put_u32(&message, CTA_FILTER_ORIG_FLAGS, kFilterProtocol | kFilterDestinationPort);
    mnl_attr_put_u32(&message, CTA_FILTER_REPLY_FLAGS, 0);
    mnl_attr_nest_end(&message, filter);
  }

  static int collect(const nlattr* attribute, void* data) {
    auto& attributes = *static_cast<Attributes*>(data);
    const auto type = mnl_attr_get_type(attribute);
    if (type <= CTA_MAX) attributes[type] = attribute;
    return MNL_CB_OK;
  }

  nlmsghdr& begin(std::uint8_t type, std::uint16_t flags, std::uint8_t family) {
    request_.fill(0);
    nlmsghdr* message = mnl_nlmsg_put_header(request_.data());
    message->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
    message->nlmsg_flags = flags;
    message->nlmsg_seq = ++sequence_;
    auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
    header->nfgen_family = family;
    header->version = NFNETLINK_V0;
    return *message;
  }

  // Sends, and reads up to the end of the dump or the acknowledgement.
  Result<void> exchange(const nlmsghdr& message, const std::function<void(const nlmsghdr&)>& each) {
    if (send(socket_, &message, message.nlmsg_len, 0) < 0) return fail_errno(errno, "cannot ask connection tracking");
    while (true) {
      const ssize_t length = recv(socket_, reply_.data(), reply_.size(), 0);
      if (length < 0 && errno == EINTR) continue;
      if (length < 0) return fail_errno(errno, "cannot read from connection tracking");
      int left = static_cast<int>(length);
      for (const auto* answer = reinterpret_cast<const nlmsghdr*>(reply_.data()); mnl_nlmsg_ok(answer, left);
           answer = mnl_nlmsg_next(answer, &left)) {
        if (answer->nlmsg_seq != message.nlmsg_seq) continue;  // of an earlier, interrupted exchange
        if (answer->nlmsg_type == NLMSG_DONE) return {};
        if (answer->nlmsg_type == NLMSG_ERROR) {
          const int error = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer))->error;
          if (error == 0) return {};
          return fail_errno(error, "connection tracking");
        }
        each(*answer);
      }
    }
  }

  int socket_;
  std::uint32_t sequence_ = 0;
  alignas(nlmsghdr) std::array<char, 1024> request_{};
  alignas(nlmsghdr) std::array<char, 32 << 10> reply_{};
};

}  // namespace

Result<FileDescriptor> open_conntrack_socket_here() {
  FileDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) return fail_errno(errno, "cannot open a netfilter socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, "cannot bind a netfilter socket");
  }
  return socket;
}

Result<std::size_t> forget_dns_flows(int socket, std::span<const ResolverAddress> resolvers,
                                     std::span<const ProxyPlace> places) {
  Talk talk(socket);
  std::size_t count = 0;
  for (const ResolverAddress& resolver : resolvers) {
    for (const std::uint8_t protocol : {std::uint8_t{IPPROTO_UDP}, std::uint8_t{IPPROTO_TCP}}) {
      const auto entries = talk.find(resolver, protocol, places);
      if (!entries) {
        // No module answers: nothing is tracked here.
        if (entries.error().error_number == EINVAL || entries.error().error_number == EOPNOTSUPP) return count;
        return tl::unexpected(entries.error());
      }
      for (const Entry& entry : *entries) {
        const auto removed = talk.remove(entry);
        if (!removed) return tl::unexpected(removed.error());
        count += *removed ? 1 : 0;
      }
    }
  }
  return count;
}

}  // namespace namewall::nft
