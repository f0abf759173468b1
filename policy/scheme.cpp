#include "policy/scheme.h"

#include <array>

#include "policy/domain_name.h"
#include "policy/escape.h"
#include "policy/suggestion.h"

namespace namewall {
namespace {

constexpr std::array<Protocol, 1> kIcmp = {Protocol::kIcmp};
constexpr std::array<Protocol, 1> kTcp = {Protocol::kTcp};
constexpr std::array<Protocol, 1> kUdp = {Protocol::kUdp};
constexpr std::array<Protocol, 2> kTcpAndUdp = {Protocol::kTcp, Protocol::kUdp};

constexpr std::array<Scheme, 12> kSchemes = {{
    {"*", kTcpAndUdp, std::nullopt},
    {"tcp", kTcp, std::nullopt},
    {"udp", kUdp, std::nullopt},
    {"icmp", kIcmp, std::nullopt},
    {"http", kTcp, Port{80}},
    {"https", kTcp, Port{443}},
    {"ssh", kTcp, Port{22}},
    {"postgres", kTcp, Port{5432}},
    {"mysql", kTcp, Port{3306}},
    {"redis", kTcp, Port{6379}},
    {"mqtt", kTcp, Port{1883}},
    {"dns", kTcpAndUdp, Port{53}},
}};

}  // namespace

Result<Scheme> find_scheme(std::string_view name) {
  const std::string folded = fold_ascii_case(name);
  std::array<std::string_view, kSchemes.size()> names;
  std::string list;
  for (std::size_t i = 0; i < kSchemes.size(); ++i) {
    if (kSchemes[i].name == folded) return kSchemes[i];
    names[i] = kSchemes[i].name;
    list += (list.empty() ? "" : ", ") + std::string(kSchemes[i].name);
  }
  std::string message = "unknown scheme " + quote_for_display(name);
  if (const auto nearest = suggest(folded, names)) message += "; did you mean `" + std::string(*nearest) + "`?";
  return fail(ErrorKind::kInvalid, message + (message.ends_with('?') ? " Accepted: " : "; accepted: ") + list);
}

}  // namespace namewall
