#include "bench/nft/learned_elements.h"

#include <netinet/in.h>

#include <chrono>

#include "bench/addresses.h"

namespace namewall::bench {
namespace {

constexpr std::uint16_t kPort = 443;
constexpr const char* kComment = "registry.bench.example by *.bench.example:443";

std::chrono::milliseconds lifetime(std::uint32_t round) {
  return std::chrono::hours(1) + std::chrono::milliseconds(100) * (round + 1);
}

}  // namespace

nft::Element learned_element(std::uint64_t cgroup_id, std::uint32_t number, std::uint32_t round, Protocol protocol) {
  nft::Element element;
  element.set = nft::SetId::kLearned4;
  element.key = nft::encode(nft::endpoint_key(cgroup_id, Address::v4(granted_address(number)), protocol, Port{kPort}));
  element.timeout = element.expires = lifetime(round);
  element.comment = kComment;
  return element;
}

std::vector<nft::Element> learned_elements(std::uint64_t cgroup_id, std::uint32_t first, std::uint32_t count,
                                           std::uint32_t round) {
  std::vector<nft::Element> elements;
  elements.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) elements.push_back(learned_element(cgroup_id, first + i, round));
  return elements;
}

std::string change_text(Change change, const std::string& cgroup, std::uint32_t first, std::uint32_t count,
                        std::uint32_t round) {
  std::string text = change == Change::kRemove ? "delete" : "add";
  text += " element inet ";
  text += nft::kTableName;
  text += " learned4 { ";
  const std::string time = std::to_string(lifetime(round).count()) + "ms";
  for (std::uint32_t i = 0; i < count; ++i) {
    text += i == 0 ? "\"" : ", \"";
    text +=
        cgroup + "\" . " + Address::v4(granted_address(first + i)).to_string() + " . tcp . " + std::to_string(kPort);
    if (change == Change::kRemove) continue;
    text += " timeout " + time + (change == Change::kRenew ? " expires " + time : "");
    text += std::string(" comment \"") + kComment + "\"";
  }
  return text + " }";
}

}  // namespace namewall::bench
