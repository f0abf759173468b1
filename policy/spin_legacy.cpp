#include "policy/spin_legacy.h"

#include "policy/spin_url.h"

namespace namewall {
namespace {

constexpr std::string_view kDatabases[] = {"redis://*:*", "mysql://*:*", "postgres://*:*"};

std::string in_brackets(const SpinHost& host) {
  const auto* address = std::get_if<SpinAddress>(&host);
  const std::string text = to_string(host);
  return address != nullptr && !address->is_v4 ? "[" + text + "]" : text;
}

}  // namespace

Result<std::vector<std::string>> outbound_of_http_host(std::string_view text) {
  if (text == kSpinAllowAll) return std::vector<std::string>{"http://*:*", "https://*:*", "http://self"};
  const bool is_url = text.find("//") != std::string_view::npos;
  const auto url = parse_spin_url(is_url ? std::string(text) : "http://" + std::string(text));
  if (!url || !url->host) return fail(ErrorKind::kInvalid, "it is no host, no `host:port` and no URL of http or https");
  if (url->scheme != "http" && url->scheme != "https") {
    return fail(ErrorKind::kInvalid, "only URLs of http and https belong here");
  }
  if (url->has_path) return fail(ErrorKind::kInvalid, "an entry has no path");
  const std::string host = in_brackets(*url->host);
  if (host == "self") return std::vector<std::string>{"http://self"};
  const std::string rest = "://" + host + (url->port ? ":" + std::to_string(*url->port) : "");
  return std::vector<std::string>{"http" + rest, "https" + rest};
}

std::span<const std::string_view> spin_version_1_databases() { return kDatabases; }

}  // namespace namewall
