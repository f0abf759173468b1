#include "policy/spin_oddities.h"

#include <algorithm>

#include "policy/domain_name.h"
#include "policy/escape.h"
#include "policy/spin_text.h"

namespace namewall {
namespace {

constexpr std::string_view kClientSchemes[] = {"*",     "tcp",   "udp",      "http",       "https",
                                               "ws",    "wss",   "postgres", "postgresql", "pg",
                                               "mysql", "redis", "rediss",   "mqtt",       "mqtts"};

struct Finder {
  SpinPieces pieces;
  const SpinEntry& entry;
  std::vector<std::string> sentences;

  void say(std::string sentence) { sentences.push_back(std::move(sentence)); }

  void look_at_scheme() {
    const std::string& scheme = entry.scheme;
    const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
    const std::string shown = quote_for_display(scheme);
    if (is_spin_client_scheme(scheme)) return;
    if (scheme.empty()) {
      say("the scheme is empty, and nothing asks for that: write one, or `*`");
    } else if (!std::all_of(scheme.begin(), scheme.end(), is_lower)) {
      say("Spin compares schemes with case and asks for lower case: " + shown + " lets nothing through");
    } else {
      say("no client in Spin dials by the scheme " + shown + ": it lets nothing through");
    }
  }

  void look_at_port() {
    const SpinPorts& ports = entry.ports;
    const std::string shown = quote_for_display(pieces.port);
    if (ports.is_range && ports.first >= ports.end) {
      say("the range " + shown + " holds no port: the end of a range is left out in Spin");
    } else if (!ports.any && ports.first == 0) {
      say("port 0 is no port that anything listens on");
    }
    const std::size_t dots = pieces.port.find("..");
    const auto is_odd = [](std::string_view number) {
      return number.starts_with('+') || (number.size() > 1 && number.starts_with('0'));
    };
    const bool is_second_odd = dots != std::string_view::npos && is_odd(pieces.port.substr(dots + 2));
    if (is_odd(pieces.port.substr(0, dots)) || is_second_odd) {
      say("the port " + shown + " has a sign or leading zeros: write the plain number");
    }
  }

  void look_at_domain(std::string_view domain) {
    if (domain == "self" || domain == "self.alt") {
      say("Spin takes this for a name " + quote_for_display(domain) +
          ", not for the application itself: write `self` in lower case and without a slash");
    }
    if (domain.ends_with('.')) {
      say("with its last dot the name " + quote_for_display(domain) +
          " is another one in Spin, and targets are mostly written without");
      domain.remove_suffix(1);
    }
    if (const auto name = DomainName::parse(domain); !name) {
      say(quote_for_display(domain) + " is no name that DNS knows: " + name.error().what);
    }
  }

  void look_at_address(const SpinAddress& address, std::string_view written) {
    if (address.is_v4 && written != address.to_string()) {
      say(quote_for_display(written) + " is another spelling of " + address.to_string() + ": write that");
    } else if (!address.is_v4 && address.address.is_v4()) {
      say("Spin does not take " + quote_for_display(written) + " for " + address.address.to_string() +
          ": write the IPv4 address");
    }
  }

  void look_at_host() {
    const std::string_view host = trim_spin_text(pieces.host);
    const std::string_view written = host.ends_with('/') ? host.substr(0, host.size() - 1) : host;
    if (host.size() != pieces.host.size()) say("spaces around the host are left out: write none");
    if (written.find('%') != std::string_view::npos) {
      say("percent escapes in a host are decoded: " + quote_for_display(written) +
          " is another host than it looks like");
    }
    if (const auto* below = std::get_if<SpinSubdomains>(&entry.host)) look_at_domain(below->of);
    if (const auto* network = std::get_if<SpinNetwork>(&entry.host)) {
      const auto base = parse_spin_address(written.substr(0, written.find('/')));
      if (base && *base != network->base()) {
        say(quote_for_display(written) + " has bits behind its length: the network is " + network->to_string());
      }
    }
    const auto* literal = std::get_if<SpinHost>(&entry.host);
    if (literal != nullptr && std::holds_alternative<std::string>(*literal)) {
      look_at_domain(std::get<std::string>(*literal));
    } else if (literal != nullptr) {
      look_at_address(std::get<SpinAddress>(*literal), written);
    }
    if (std::holds_alternative<SpinSelf>(entry.host) && !entry.allows_self()) {
      say("only http and https ask for the application itself: " + quote_for_display(entry.scheme) +
          " lets nothing through");
    }
  }
};

}  // namespace

bool is_spin_client_scheme(std::string_view scheme) {
  return std::find(std::begin(kClientSchemes), std::end(kClientSchemes), scheme) != std::end(kClientSchemes);
}

std::vector<std::string> find_spin_oddities(std::string_view text, const SpinEntry& entry) {
  const Result<SpinPieces> pieces = split_spin_entry(text);
  if (!pieces) return {};
  Finder finder{*pieces, entry, {}};
  finder.look_at_scheme();
  finder.look_at_port();
  finder.look_at_host();
  return std::move(finder.sentences);
}

}  // namespace namewall
