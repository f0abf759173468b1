#include "policy/service_list.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>

#include "policy/domain_name.h"

namespace namewall {
namespace {

constexpr std::string_view kBlanks = " \t\r\f\v";

// The next word of `line`, taken off it; "" at its end.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

struct PortAndProtocol {
  Port port;
  Protocol protocol;
};

// "443/tcp"
std::optional<PortAndProtocol> parse_port_and_protocol(std::string_view word) {
  const std::size_t slash = word.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  PortAndProtocol parsed{};
  const char* const end = word.data() + slash;
  const auto [stop, status] = std::from_chars(word.data(), end, parsed.port.number);
  if (status != std::errc() || stop != end || parsed.port.number == 0) return std::nullopt;
  const std::string protocol = fold_ascii_case(word.substr(slash + 1));
  if (protocol != "tcp" && protocol != "udp") return std::nullopt;
  parsed.protocol = protocol == "tcp" ? Protocol::kTcp : Protocol::kUdp;
  return parsed;
}

auto order_of(const Service& service) { return std::tie(service.name, service.protocol, service.port); }
bool is_before(const Service& a, const Service& b) { return order_of(a) < order_of(b); }
bool is_same(const Service& a, const Service& b) { return order_of(a) == order_of(b); }

}  // namespace

std::vector<Service> parse_service_list(std::string_view text) {
  std::vector<Service> services;
  while (!text.empty() && services.size() < kMaxServices) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = line.substr(0, line.find('#'));
    const std::string_view name = take_word(line);
    const auto where = parse_port_and_protocol(take_word(line));
    if (!where) continue;
    for (std::string_view word = name; !word.empty() && services.size() < kMaxServices; word = take_word(line)) {
      services.push_back({fold_ascii_case(word), where->port, where->protocol});
    }
  }
  std::sort(services.begin(), services.end(), is_before);
  services.erase(std::unique(services.begin(), services.end(), is_same), services.end());
  return services;
}

std::span<const Service> find_services(std::span<const Service> services, std::string_view name) {
  const std::string folded = fold_ascii_case(name);
  const auto is_less = [](const Service& service, const std::string& wanted) { return service.name < wanted; };
  const auto first = std::lower_bound(services.begin(), services.end(), folded, is_less);
  const auto last = std::find_if(first, services.end(), [&](const Service& service) { return service.name != folded; });
  return {first, last};
}

}  // namespace namewall
