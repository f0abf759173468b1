#include "agent/kubernetes_ports.h"

#include "policy/config_reader.h"

namespace namewall::agent {
namespace {

constexpr std::int64_t kLastPort = 65'535;
constexpr const char* kNamedPort =
    "a named port is what a pod's container says of itself, and a host has none; write the number";

PortSet ports_from(Protocol protocol, std::int64_t first, std::int64_t last) {
  return PortSet({{protocol, Port{static_cast<std::uint16_t>(first)}, Port{static_cast<std::uint16_t>(last)}}});
}

// Ports of one list; refuses and remembers that it did.
class PortList {
 public:
  explicit PortList(ImportDocument& document) : document_(document) {}

  void refuse(const ImportNode& node, std::string sentence) {
    document_.refuse(node, std::move(sentence));
    is_broken_ = true;
  }

  void add(const PortSet& ports) { ports_ = ports_.united(ports); }

  std::optional<std::int64_t> read_number(const ImportNode& node) {
    const auto number = document_.read_integer(node, 1, kLastPort);
    if (!number) is_broken_ = true;
    return number;
  }

  // TCP where it is not said.
  std::optional<Protocol> read_protocol(const std::optional<ImportNode>& node) {
    if (!node) return Protocol::kTcp;
    const std::string word = document_.read_text(*node).value_or("");
    if (word == "TCP") return Protocol::kTcp;
    if (word == "UDP") return Protocol::kUdp;
    refuse(*node, "the protocol " + quoted(word) + " is none that namewall opens: TCP or UDP");
    return std::nullopt;
  }

  // {start, end}, with the protocol outside or inside.
  void read_range(const ImportNode& node, std::optional<Protocol> protocol) {
    std::optional<std::int64_t> start;
    std::optional<std::int64_t> end;
    std::optional<ImportNode> own_protocol;
    const bool has_own = !protocol;
    std::vector<ImportDocument::Field> fields = {
        {"start", [&](const ImportNode& value) { start = read_number(value); }},
        {"end", [&](const ImportNode& value) { end = read_number(value); }}};
    if (has_own) fields.push_back({"protocol", [&](const ImportNode& value) { own_protocol = value; }});
    document_.read_fields(node, fields);
    if (has_own) protocol = read_protocol(own_protocol);
    if (!start || !end || *start > *end) return refuse(node, "it has no `start` and `end` in this order");
    if (protocol) add(ports_from(*protocol, *start, *end));
  }

  std::optional<PortSet> take() { return is_broken_ ? std::nullopt : std::optional(ports_); }
  bool is_empty() const { return ports_.empty() && !is_broken_; }

 private:
  ImportDocument& document_;
  PortSet ports_;
  bool is_broken_ = false;
};

void read_protocol_ports(ImportDocument& document, PortList& ports, const ImportNode& node, Protocol protocol) {
  bool has_port = false;
  document.read_fields(node, {{"destinationPort", [&](const ImportNode& port) {
                                 has_port = true;
                                 document.read_fields(
                                     port,
                                     {{"number",
                                       [&](const ImportNode& value) {
                                         if (const auto number = ports.read_number(value)) {
                                           ports.add(ports_from(protocol, *number, *number));
                                         }
                                       }},
                                      {"range", [&](const ImportNode& value) { ports.read_range(value, protocol); }}});
                               }}});
  if (!has_port) ports.refuse(node, "it names no `destinationPort`");
}

}  // namespace

std::optional<PortSet> read_network_policy_ports(ImportDocument& document, const ImportNode& list) {
  PortList ports(document);
  for (const ImportNode& item : document.read_list(list)) {
    std::optional<ImportNode> protocol_node;
    std::optional<ImportNode> port;
    std::optional<ImportNode> end_port;
    document.read_fields(item, {{"protocol", [&](const ImportNode& node) { protocol_node = node; }},
                                {"port", [&](const ImportNode& node) { port = node; }},
                                {"endPort", [&](const ImportNode& node) { end_port = node; }}});
    const auto protocol = ports.read_protocol(protocol_node);
    if (port && port->value->kind == ConfigNode::Kind::kString) {
      ports.refuse(*port, kNamedPort);
      continue;
    }
    const auto first = port ? ports.read_number(*port) : std::optional<std::int64_t>(0);
    std::optional<std::int64_t> last = port ? first : kLastPort;
    if (end_port) last = ports.read_number(*end_port);
    if (!protocol || !first || !last) continue;
    if (*last < *first || (end_port && !port)) {
      ports.refuse(item, "`endPort` stands behind a `port` that is not above it");
      continue;
    }
    ports.add(ports_from(*protocol, *first, *last));
  }
  if (ports.is_empty()) {
    return ports_from(Protocol::kTcp, 0, kLastPort).united(ports_from(Protocol::kUdp, 0, kLastPort));
  }
  return ports.take();
}

std::optional<PortSet> read_admin_ports(ImportDocument& document, const ImportNode& list) {
  PortList ports(document);
  for (const ImportNode& item : document.read_list(list)) {
    document.read_fields(item, {{"portNumber",
                                 [&](const ImportNode& node) {
                                   std::optional<std::int64_t> number;
                                   std::optional<ImportNode> protocol_node;
                                   document.read_fields(
                                       node,
                                       {{"port", [&](const ImportNode& value) { number = ports.read_number(value); }},
                                        {"protocol", [&](const ImportNode& value) { protocol_node = value; }}});
                                   const auto protocol = ports.read_protocol(protocol_node);
                                   if (!number) ports.refuse(node, "it has no `port`");
                                   if (number && protocol) ports.add(ports_from(*protocol, *number, *number));
                                 }},
                                {"portRange", [&](const ImportNode& node) { ports.read_range(node, std::nullopt); }},
                                {"namedPort", [&](const ImportNode& node) { ports.refuse(node, kNamedPort); }}});
  }
  if (ports.is_empty()) ports.refuse(list, "it names no port; leave it out for every port");
  return ports.take();
}

std::optional<PortSet> read_cluster_protocols(ImportDocument& document, const ImportNode& list) {
  PortList ports(document);
  for (const ImportNode& item : document.read_list(list)) {
    document.read_fields(
        item, {{"tcp", [&](const ImportNode& node) { read_protocol_ports(document, ports, node, Protocol::kTcp); }},
               {"udp", [&](const ImportNode& node) { read_protocol_ports(document, ports, node, Protocol::kUdp); }},
               {"sctp", [&](const ImportNode& node) { ports.refuse(node, "SCTP is no protocol that namewall opens"); }},
               {"destinationNamedPort", [&](const ImportNode& node) { ports.refuse(node, kNamedPort); }}});
  }
  if (ports.is_empty()) ports.refuse(list, "it names no port; leave it out for every port");
  return ports.take();
}

}  // namespace namewall::agent
