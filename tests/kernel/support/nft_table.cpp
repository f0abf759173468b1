#include "tests/kernel/support/nft_table.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include "bpf/cgroup_handle.h"
#include "tests/kernel/support/socket_address.h"

namespace namewall::kernel_tests {

using nft::Element;
using nft::SetId;

CgroupPlace place_of(const ThrowawayCgroup& cgroup) {
  const auto identity = bpf::identify_cgroup(cgroup.fd());
  if (!identity) {
    ADD_FAILURE() << identity.error().message();
    return {};
  }
  return {identity->id, identity->level};
}

nft::EndpointKey endpoint(std::uint64_t cgroup_id, const std::string& text) {
  nft::EndpointKey key{.cgroup_id = cgroup_id, .address = {}};
  const auto space = text.find(' ');
  const auto protocol = text.substr(0, space);
  auto address = text.substr(space + 1);
  if (protocol != "icmp") {
    const auto colon = address.rfind(':');
    key.port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
    address.resize(colon);
    if (address.front() == '[') address = address.substr(1, address.size() - 2);
  }
  key.address = ip(address);
  const bool is_v6 = address.find(':') != std::string::npos;
  if (protocol == "icmp") {
    key.ip_protocol = is_v6 ? std::uint8_t{IPPROTO_ICMPV6} : std::uint8_t{IPPROTO_ICMP};
    key.port = is_v6 ? nft::kEchoRequest6 : nft::kEchoRequest4;
  } else {
    key.ip_protocol = protocol == "tcp" ? IPPROTO_TCP : IPPROTO_UDP;
  }
  return key;
}

NftTable::NftTable() {
  auto socket = nft::NftSocket::open();
  if (!socket) {
    ADD_FAILURE() << socket.error().message();
    return;
  }
  socket_.emplace(std::move(*socket));
}

void NftTable::commit(nft::Batch& batch) {
  const auto done = socket_->commit(batch);
  if (!done)
    ADD_FAILURE() << done.error().message();
  else if (!done->is_committed())
    ADD_FAILURE() << done->text();
}

void NftTable::make(const nft::RulesetPlan& plan) {
  plan_ = plan;
  nft::Batch batch;
  nft::add_whole_table(batch, nft::TableKind::kPlain, plan);
  commit(batch);
}

void NftTable::change_plan(const nft::RulesetPlan& plan) {
  nft::Batch batch;
  nft::replace_rules(batch, plan_, plan);
  commit(batch);
  plan_ = plan;
}

void NftTable::add(const std::vector<Element>& elements) {
  nft::Batch batch;
  batch.add_elements(elements);
  commit(batch);
}

void NftTable::remove(const std::vector<Element>& elements) {
  nft::Batch batch;
  batch.delete_elements(elements);
  commit(batch);
}

std::vector<Element> NftTable::list(SetId set) {
  std::vector<Element> elements;
  const auto listed = nft::list_elements(*socket_, set, [&](const Element& element) { elements.push_back(element); });
  if (!listed) ADD_FAILURE() << listed.error().message();
  return elements;
}

Element cgroup_in(SetId set, std::uint64_t cgroup_id) { return {.set = set, .key = nft::encode_cgroup(cgroup_id)}; }

Element token_of(std::uint64_t cgroup_id, std::uint16_t token) {
  return {.set = SetId::kTokens,
          .key = nft::encode_cgroup(cgroup_id),
          .data = nft::encode_mark(static_cast<std::uint32_t>(token) << nft::kTokenShift)};
}

namespace {

SetId by_family(const nft::EndpointKey& key, SetId v4, SetId v6) { return nft::encode(key).size() == 20 ? v4 : v6; }

}  // namespace

Element learned(std::uint64_t cgroup_id, const std::string& text, std::chrono::milliseconds timeout) {
  const auto key = endpoint(cgroup_id, text);
  return {.set = by_family(key, SetId::kLearned4, SetId::kLearned6), .key = nft::encode(key), .timeout = timeout};
}

Element fixed(std::uint64_t cgroup_id, const std::string& first, const std::string& last) {
  const auto key = endpoint(cgroup_id, first);
  return {.set = by_family(key, SetId::kFixed4, SetId::kFixed6),
          .key = nft::encode(key),
          .key_end = nft::encode(endpoint(cgroup_id, last))};
}

Element listens(std::uint64_t cgroup_id, std::uint8_t ip_protocol, std::uint16_t first, std::uint16_t last) {
  return {.set = SetId::kListen,
          .key = nft::encode_port(cgroup_id, ip_protocol, first),
          .key_end = nft::encode_port(cgroup_id, ip_protocol, last)};
}

Element resolver_of(std::uint64_t cgroup_id, const std::string& text) {
  const auto key = endpoint(cgroup_id, text);
  return {.set = by_family(key, SetId::kResolvers4, SetId::kResolvers6), .key = nft::encode(key)};
}

Element proxy_place(const std::string& resolver, std::uint16_t port) {
  const auto key = endpoint(0, resolver);
  return {.set = by_family(key, SetId::kPlaces4, SetId::kPlaces6),
          .key = nft::encode_place(key.address, key.ip_protocol, key.port),
          .data = nft::encode_port_data(port)};
}

Element own_pair(std::uint16_t token, std::uint64_t cgroup_id) {
  return {.set = SetId::kOwnPairs,
          .key = nft::encode_own_pair(static_cast<std::uint32_t>(token) << nft::kTokenShift, cgroup_id)};
}

}  // namespace namewall::kernel_tests
