#include "agent/cilium_ports.h"

#include <charconv>

#include "policy/config_reader.h"
#include "policy/domain_name.h"

namespace namewall::agent {
namespace {

constexpr std::uint16_t kLastPort = 65'535;

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool has_leading_zero = text.size() > 1 && text.front() == '0';
  if (status != std::errc() || end != text.data() + text.size() || has_leading_zero) return std::nullopt;
  return number;
}

class PortsReader {
 public:
  PortsReader(ImportDocument& document, CiliumPorts& ports) : document_(document), ports_(ports) {}

  // False: something was refused.
  bool read(const ImportNode& item) {
    const auto cannot = [this](const char* sentence) {
      return [this, sentence](const ImportNode& node) { refuse(node, sentence); };
    };
    document_.read_fields(
        item, {{"ports", [&](const ImportNode& node) { read_ports(node); }},
               {"rules", [&](const ImportNode& node) { read_rules(node); }},
               {"serverNames", cannot("names in TLS (SNI) are not looked at: the name that was looked up decides")},
               {"terminatingTLS", cannot("namewall does not open TLS")},
               {"originatingTLS", cannot("namewall does not open TLS")},
               {"listener", cannot("namewall sends nothing through a proxy of the policy's choice")}});
    if (ports_.ports.empty() && !is_broken_) {
      refuse(item, "it names no port; leave `toPorts` out for every port");
    }
    return !is_broken_;
  }

 private:
  void refuse(const ImportNode& node, std::string sentence) {
    document_.refuse(node, std::move(sentence));
    is_broken_ = true;
  }

  void read_ports(const ImportNode& list) {
    for (const ImportNode& item : document_.read_list(list)) read_port(item);
  }

  void read_port(const ImportNode& item) {
    std::optional<std::string> port;
    std::optional<std::int64_t> end_port;
    std::vector<Protocol> protocols = {Protocol::kTcp, Protocol::kUdp};
    document_.read_fields(
        item, {{"port", [&](const ImportNode& node) { port = document_.read_text(node); }},
               {"endPort", [&](const ImportNode& node) { end_port = document_.read_integer(node, 0, kLastPort); }},
               {"protocol", [&](const ImportNode& node) { protocols = read_protocol(node); }}});
    if (!port) return refuse(item, "it has no `port`");
    const std::optional<std::uint16_t> first = parse_port(*port);
    if (!first) {
      return refuse(item, "the port " + quoted(*port) +
                              " is no number: a named port is what a pod's container says of itself, and a host has "
                              "none; write the number");
    }
    std::uint16_t last = *first == 0 ? kLastPort : *first;  // 0: every port
    if (end_port.value_or(0) != 0) {
      if (*first == 0 || *end_port < *first) return refuse(item, "`endPort` is below `port`");
      last = static_cast<std::uint16_t>(*end_port);
    }
    std::vector<PortRange> ranges;
    for (const Protocol protocol : protocols) ranges.push_back({protocol, Port{*first}, Port{last}});
    ports_.ports = ports_.ports.united(PortSet(std::move(ranges)));
  }

  std::vector<Protocol> read_protocol(const ImportNode& node) {
    const std::string word = fold_ascii_case(document_.read_text(node).value_or(""));
    if (word == "tcp") return {Protocol::kTcp};
    if (word == "udp") return {Protocol::kUdp};
    if (word == "any" || (word.empty() && node.value->kind == ConfigNode::Kind::kString)) {
      return {Protocol::kTcp, Protocol::kUdp};
    }
    refuse(node, "the protocol " + quoted(node.value->text) + " is none that namewall opens: TCP, UDP or ANY");
    return {};
  }

  void read_rules(const ImportNode& rules) {
    const auto cannot = [this](const ImportNode& node) {
      refuse(node, "what is said inside a connection (HTTP, Kafka, ...) is not looked at: the rule would open more");
    };
    document_.read_fields(rules, {{"dns", [&](const ImportNode& node) { read_dns(node); }},
                                  {"http", cannot},
                                  {"kafka", cannot},
                                  {"l7proto", cannot},
                                  {"l7", cannot}});
  }

  void read_dns(const ImportNode& list) {
    ports_.has_dns_rules = true;
    for (const ImportNode& item : document_.read_list(list)) {
      document_.read_fields(item, {{"matchName", [&](const ImportNode& node) { (void)document_.read_text(node); }},
                                   {"matchPattern", [&](const ImportNode& node) { (void)document_.read_text(node); }}});
    }
  }

  ImportDocument& document_;
  CiliumPorts& ports_;
  bool is_broken_ = false;
};

}  // namespace

std::vector<CiliumPorts> read_cilium_ports(ImportDocument& document, const ImportNode& to_ports) {
  std::vector<CiliumPorts> all;
  for (const ImportNode& item : document.read_list(to_ports)) {
    CiliumPorts ports{item, {}, false};
    if (PortsReader(document, ports).read(item)) all.push_back(std::move(ports));
  }
  return all;
}

}  // namespace namewall::agent
