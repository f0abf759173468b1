#include "nft/listing.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <thread>

#include "nft/attribute.h"
#include "nft/element_message.h"
#include "nft/kernel_abi.h"
#include "nft/message_writer.h"

namespace namewall::nft {
namespace {

Bytes request_for(std::uint16_t message, std::uint16_t table_attribute, std::string_view table) {
  MessageWriter writer;
  writer.begin_message(message_type(message), NLM_F_REQUEST, 0, NFPROTO_INET);
  writer.put_string(table_attribute, table);
  writer.end_message();
  return {writer.bytes().begin(), writer.bytes().end()};
}

std::string read_string(const nlmsghdr& message, std::uint16_t type) {
  const auto attribute = attributes_of(message).find(type);
  return attribute ? std::string(attribute->text()) : "";
}

std::uint32_t read_u32(const nlmsghdr& message, std::uint16_t type) {
  const auto attribute = attributes_of(message).find(type);
  return attribute ? attribute->u32() : 0;
}

Bytes get_set_request(SetId set, std::string_view table) {
  MessageWriter writer;
  writer.begin_message(message_type(NFT_MSG_GETSET), NLM_F_REQUEST, 0, NFPROTO_INET);
  writer.put_string(NFTA_SET_TABLE, table);
  writer.put_string(NFTA_SET_NAME, shape_of(set).name);
  writer.end_message();
  return {writer.bytes().begin(), writer.bytes().end()};
}

bool has_set(NftSocket& socket, SetId set, std::string_view table) {
  return socket.ask(get_set_request(set, table), [](const nlmsghdr&) {}).has_value();
}

// One thing of a table each: small dumps, begun anew where a commit cut them short, and taken as they came at last.
template <typename Item, typename Read>
Result<std::vector<Item>> list_all(NftSocket& socket, const Bytes& request, Read&& read) {
  constexpr int kTries = 8;
  std::vector<Item> items;
  for (int i = 0; i < kTries; ++i) {
    items.clear();
    const auto is_cut = socket.dump(request, [&](const nlmsghdr& message) { items.push_back(read(message)); });
    if (!is_cut) return tl::unexpected(is_cut.error());
    if (!*is_cut) break;
  }
  return items;
}

// Older kernels list everything and only newer ones the table that was asked for.
template <typename Item, typename Read>
Result<std::vector<Item>> list_of_table(NftSocket& socket, std::uint16_t message_kind, std::uint16_t table_attribute,
                                        std::string_view table, Read&& read) {
  auto all = list_all<std::optional<Item>>(socket, request_for(message_kind, table_attribute, table),
                                           [&](const nlmsghdr& message) -> std::optional<Item> {
                                             if (read_string(message, table_attribute) != table) return std::nullopt;
                                             return read(message);
                                           });
  if (!all) return tl::unexpected(all.error());
  std::vector<Item> items;
  for (auto& item : *all) {
    if (item) items.push_back(std::move(*item));
  }
  return items;
}

}  // namespace

Result<std::optional<TableListing>> read_table(NftSocket& socket, std::string_view table) {
  std::optional<TableListing> listing;
  const auto asked = socket.ask(request_for(NFT_MSG_GETTABLE, NFTA_TABLE_NAME, table), [&](const nlmsghdr& message) {
    const auto flags = read_u32(message, NFTA_TABLE_FLAGS);
    listing = TableListing{.is_owned = (flags & kTableOwner) != 0,
                           .is_persistent = (flags & kTablePersist) != 0,
                           .is_dormant = (flags & kTableDormant) != 0,
                           .owner = read_u32(message, NFTA_TABLE_OWNER)};
  });
  if (!asked && asked.error().kind != ErrorKind::kNotFound) return tl::unexpected(asked.error());
  return listing;
}

Result<void> list_elements(NftSocket& socket, SetId set, const std::function<void(const Element&)>& each,
                           std::string_view table) {
  const auto dumped =
      socket.dump(get_elements_request(set, table), [&](const nlmsghdr& message) { each_element(message, set, each); });
  if (!dumped) return tl::unexpected(dumped.error());
  return {};
}

namespace {

// The kernel answers each element with a message of its own, in order, and stops at the first that it does not have:
// the next request begins behind it. Requests grow while nothing is missing.
template <typename Visit>
Result<void> ask_for(NftSocket& socket, std::span<const Element> elements, std::string_view table, Visit&& visit) {
  constexpr std::size_t kMost = 256;  // answers wait in the socket's queue, 4 KB each
  std::size_t part = kMost, at = 0;
  while (at < elements.size()) {
    part = std::min({part, elements.size() - at, kMost});
    std::size_t answered = 0;
    const auto asked =
        socket.ask(get_elements_request(elements.subspan(at, part), table), [&](const nlmsghdr& message) {
          const auto index = at + answered++;
          each_element(message, elements[index].set, [&](const Element& element) { visit(index, element); });
        });
    if (asked) {
      at += part;
      part *= 2;
      continue;
    }
    if (asked.error().kind != ErrorKind::kNotFound || answered >= part) return tl::unexpected(asked.error());
    if (answered == 0 && !has_set(socket, elements[at].set, table)) return tl::unexpected(asked.error());
    at += answered + 1;
    part = std::max<std::size_t>(answered, 4);
  }
  return {};
}

}  // namespace

Result<void> read_elements(NftSocket& socket, std::span<const Element> elements,
                           const std::function<void(const Element&)>& each, std::string_view table) {
  return ask_for(socket, elements, table, [&](std::size_t, const Element& element) { each(element); });
}

Result<std::vector<ElementState>> read_states(std::span<const Element> elements, std::string_view table) {
  constexpr std::size_t kMostThreads = 4, kWorthAThread = 8192;
  std::vector<ElementState> states(elements.size());
  const auto count = std::min({kMostThreads, std::size_t{std::max(1u, std::thread::hardware_concurrency())},
                               elements.size() / kWorthAThread + 1});
  const auto part = (elements.size() + count - 1) / count;
  std::vector<Result<void>> results(count);
  const auto read_part = [&](std::size_t number) {
    const auto first = number * part;
    auto socket = NftSocket::open();
    if (!socket) {
      results[number] = tl::unexpected(socket.error());
      return;
    }
    results[number] = ask_for(*socket, elements.subspan(first, std::min(part, elements.size() - first)), table,
                              [&](std::size_t index, const Element& element) {
                                states[first + index] = {true, element.timeout, element.expires};
                              });
  };
  {
    std::vector<std::jthread> threads;  // in the namespace of the thread that starts them
    for (std::size_t i = 1; i < count; ++i) threads.emplace_back(read_part, i);
    read_part(0);
  }
  for (const auto& result : results) {
    if (!result) return tl::unexpected(result.error());
  }
  return states;
}

Result<std::optional<std::uint32_t>> count_elements(NftSocket& socket, SetId set, std::string_view table) {
  std::optional<std::uint32_t> count;
  const auto asked = socket.ask(get_set_request(set, table), [&](const nlmsghdr& message) {
    if (const auto attribute = attributes_of(message).find(kSetCount)) count = attribute->u32();
  });
  if (!asked) return tl::unexpected(asked.error());
  return count;
}

Result<std::vector<ListedRule>> list_rules(NftSocket& socket, std::string_view table) {
  return list_of_table<ListedRule>(socket, NFT_MSG_GETRULE, NFTA_RULE_TABLE, table, [](const nlmsghdr& message) {
    ListedRule rule{.chain = read_string(message, NFTA_RULE_CHAIN)};
    if (const auto handle = attributes_of(message).find(NFTA_RULE_HANDLE)) rule.handle = handle->u64();
    if (const auto expressions = attributes_of(message).find(NFTA_RULE_EXPRESSIONS)) {
      rule.expressions.assign(expressions->payload.begin(), expressions->payload.end());
    }
    return rule;
  });
}

Result<std::vector<std::string>> list_set_names(NftSocket& socket, std::string_view table) {
  return list_of_table<std::string>(socket, NFT_MSG_GETSET, NFTA_SET_TABLE, table,
                                    [](const nlmsghdr& message) { return read_string(message, NFTA_SET_NAME); });
}

Result<std::vector<std::string>> list_chain_names(NftSocket& socket, std::string_view table) {
  return list_of_table<std::string>(socket, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, table,
                                    [](const nlmsghdr& message) { return read_string(message, NFTA_CHAIN_NAME); });
}

}  // namespace namewall::nft
