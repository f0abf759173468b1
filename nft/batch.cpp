#include "nft/batch.h"

#include <libmnl/libmnl.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "nft/kernel_abi.h"
#include "nft/message_writer.h"
#include "nft/set_message.h"

namespace namewall::nft {
namespace {

// NFTA_SET_ELEM_LIST_ELEMENTS with its own header.
constexpr std::size_t kMaxElementList = 0xffff - 4;
constexpr std::size_t kMaxRule = 65536;

// In jiffies a shorter one may be none: 6.12 reads that as "never".
constexpr std::chrono::milliseconds kShortestTimeout{20};

std::uint64_t to_milliseconds(Nanoseconds time) {
  return static_cast<std::uint64_t>(
      std::max(std::chrono::ceil<std::chrono::milliseconds>(time), kShortestTimeout).count());
}

constexpr std::size_t data_size(std::size_t size) { return attribute_size(attribute_size(size)); }

std::size_t comment_size(const Element& element) {
  return element.comment.empty() ? 0 : attribute_size(2 + std::min(element.comment.size(), kMaxComment) + 1);
}

std::size_t size_at_most(const Element& element) {
  return attribute_size(data_size(element.key.size()) + data_size(element.key_end.size()) +
                        data_size(element.data.size()) + 2 * attribute_size(8) + comment_size(element));
}

// How many of the first elements go into one message.
std::size_t count_fitting(std::span<const Element> elements, std::size_t& bytes) {
  bytes = 0;
  std::size_t count = 0;
  for (; count < elements.size() && elements[count].set == elements[0].set; ++count) {
    const auto size = size_at_most(elements[count]);
    if (bytes + size > kMaxElementList) break;
    bytes += size;
  }
  assert(count > 0);
  return count;
}

void put_data(MessageWriter& writer, std::uint16_t attribute, const Bytes& bytes) {
  const auto nest = writer.begin_nest(attribute);
  writer.put(NFTA_DATA_VALUE, bytes);
  writer.end_nest(nest);
}

enum class Clock { kKeep, kRestart };

void put_key(MessageWriter& writer, const Element& element) {
  put_data(writer, NFTA_SET_ELEM_KEY, element.key);
  if (!element.key_end.empty()) put_data(writer, NFTA_SET_ELEM_KEY_END, element.key_end);
}

// nftnl_udata of type 0, the comment: type, length, text, NUL.
void put_comment(MessageWriter& writer, std::string_view comment) {
  std::array<char, 2 + kMaxComment + 1> udata;
  const auto size = std::min(comment.size(), kMaxComment);
  udata[0] = 0;
  udata[1] = static_cast<char>(size + 1);
  std::copy_n(comment.data(), size, udata.data() + 2);
  udata[2 + size] = '\0';
  writer.put(NFTA_SET_ELEM_USERDATA, udata.data(), 2 + size + 1);
}

void put_element(MessageWriter& writer, const Element& element, Clock clock) {
  const auto nest = writer.begin_nest(NFTA_LIST_ELEM);
  put_key(writer, element);
  if (!element.data.empty()) put_data(writer, NFTA_SET_ELEM_DATA, element.data);
  if (element.timeout) {
    const auto timeout = to_milliseconds(*element.timeout);
    const auto expires = std::min(element.expires ? to_milliseconds(*element.expires) : timeout, timeout);
    writer.put_u64(NFTA_SET_ELEM_TIMEOUT, timeout);
    // Without it an element that has this timeout already is left as it is, without an error.
    if (clock == Clock::kRestart || expires != timeout) writer.put_u64(NFTA_SET_ELEM_EXPIRATION, expires);
  }
  if (!element.comment.empty()) put_comment(writer, element.comment);
  writer.end_nest(nest);
}

void put_key_only(MessageWriter& writer, const Element& element) {
  const auto nest = writer.begin_nest(NFTA_LIST_ELEM);
  put_key(writer, element);
  writer.end_nest(nest);
}

}  // namespace

struct Batch::State {
  MessageWriter writer;
  std::uint32_t first = 0;
  std::uint32_t next = 0;
  bool is_finished = false;

  std::uint32_t begin(std::uint16_t type, std::uint16_t flags, std::uint8_t family = NFPROTO_INET) {
    assert(!is_finished);
    writer.begin_message(message_type(type), static_cast<std::uint16_t>(NLM_F_REQUEST | flags), next, family);
    return next++;
  }

  template <typename Put>
  void put_elements(std::uint16_t type, std::uint16_t flags, std::span<const Element> elements, std::string_view table,
                    Put&& put) {
    begin(type, flags);
    writer.put_string(NFTA_SET_ELEM_LIST_TABLE, table);
    writer.put_string(NFTA_SET_ELEM_LIST_SET, shape_of(elements[0].set).name);
    const auto list = writer.begin_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (const auto& element : elements) put(element);
    writer.end_nest(list);
    writer.end_message();
  }

  void add(std::span<const Element> elements, std::string_view table, Clock clock) {
    put_elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, elements, table,
                 [&](const Element& element) { put_element(writer, element, clock); });
  }

  void remove(std::uint16_t type, std::span<const Element> elements, std::string_view table) {
    put_elements(type, 0, elements, table, [&](const Element& element) { put_key_only(writer, element); });
  }

  template <typename Put>
  std::uint32_t in_parts(std::span<const Element> elements, Put&& put) {
    const auto number = next;
    while (!elements.empty()) {
      std::size_t bytes = 0;
      const auto count = count_fitting(elements, bytes);
      writer.reserve(bytes + 128);
      put(elements.first(count));
      elements = elements.subspan(count);
    }
    return number;
  }

  std::uint32_t named(std::uint16_t type, std::uint16_t table_attribute, std::string_view table,
                      std::uint16_t name_attribute, std::string_view name) {
    const auto number = begin(type, 0);
    writer.put_string(table_attribute, table);
    writer.put_string(name_attribute, name);
    writer.end_message();
    return number;
  }
};

Batch::Batch(std::uint32_t first_sequence) : state_(std::make_unique<State>()) {
  state_->first = first_sequence;
  state_->next = first_sequence + 1;
  state_->writer.reserve(512);
  state_->writer.begin_message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, first_sequence, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  state_->writer.end_message();
}
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;
Batch::~Batch() = default;

std::uint32_t Batch::add_table(TableKind kind, std::string_view name) {
  const auto number = state_->begin(NFT_MSG_NEWTABLE, NLM_F_CREATE);
  state_->writer.put_string(NFTA_TABLE_NAME, name);
  state_->writer.put_u32(NFTA_TABLE_FLAGS, kind == TableKind::kOwned ? kTableOwner | kTablePersist : 0);
  state_->writer.end_message();
  return number;
}

std::uint32_t Batch::delete_table(std::string_view name) {
  const auto number = state_->begin(NFT_MSG_DELTABLE, 0);
  state_->writer.put_string(NFTA_TABLE_NAME, name);
  state_->writer.end_message();
  return number;
}

std::uint32_t Batch::add_set(const SetShape& shape, std::string_view table) {
  const auto number = state_->begin(NFT_MSG_NEWSET, NLM_F_CREATE);
  put_set(state_->writer, shape, table);
  state_->writer.end_message();
  return number;
}

std::uint32_t Batch::add_base_chain(std::string_view name, std::string_view type, std::uint32_t hook,
                                    std::int32_t priority, std::string_view table) {
  const auto number = state_->begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  auto& writer = state_->writer;
  writer.put_string(NFTA_CHAIN_TABLE, table);
  writer.put_string(NFTA_CHAIN_NAME, name);
  const auto nest = writer.begin_nest(NFTA_CHAIN_HOOK);
  writer.put_u32(NFTA_HOOK_HOOKNUM, hook);
  writer.put_u32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(priority));
  writer.end_nest(nest);
  writer.put_u32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  writer.put_string(NFTA_CHAIN_TYPE, type);
  writer.end_message();
  return number;
}

std::uint32_t Batch::add_chain(std::string_view name, std::string_view table) {
  const auto number = state_->begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  state_->writer.put_string(NFTA_CHAIN_TABLE, table);
  state_->writer.put_string(NFTA_CHAIN_NAME, name);
  state_->writer.end_message();
  return number;
}

std::uint32_t Batch::delete_chain(std::string_view name, std::string_view table) {
  return state_->named(NFT_MSG_DELCHAIN, NFTA_CHAIN_TABLE, table, NFTA_CHAIN_NAME, name);
}

std::uint32_t Batch::flush_chain(std::string_view name, std::string_view table) {
  return state_->named(NFT_MSG_DELRULE, NFTA_RULE_TABLE, table, NFTA_RULE_CHAIN, name);
}

std::uint32_t Batch::add_rule(const nftnl_rule& rule) {
  std::array<char, kMaxRule> buffer;
  auto* message = mnl_nlmsg_put_header(buffer.data());
  // libnftnl only reads it.
  nftnl_rule_nlmsg_build_payload(message, const_cast<nftnl_rule*>(&rule));
  const auto family = static_cast<std::uint8_t>(nftnl_rule_get_u32(&rule, NFTNL_RULE_FAMILY));
  const auto number = state_->begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family);
  const auto* payload = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(message));
  state_->writer.append({payload, mnl_nlmsg_get_payload_len(message)});
  state_->writer.end_message();
  return number;
}

std::uint32_t Batch::add_elements(std::span<const Element> elements, std::string_view table) {
  return state_->in_parts(elements, [&](auto part) { state_->add(part, table, Clock::kKeep); });
}

std::uint32_t Batch::renew_elements(std::span<const Element> elements, UpdateWay way, std::string_view table) {
  return state_->in_parts(elements, [&](auto part) {
    state_->add(part, table, Clock::kRestart);
    if (way == UpdateWay::kUpdate) return;
    // The first one makes sure that there is one to delete: it may have expired.
    state_->remove(NFT_MSG_DELSETELEM, part, table);
    state_->add(part, table, Clock::kRestart);
  });
}

std::uint32_t Batch::delete_elements(std::span<const Element> elements, std::string_view table) {
  return state_->in_parts(elements, [&](auto part) { state_->remove(NFT_MSG_DELSETELEM, part, table); });
}

std::uint32_t Batch::destroy_elements(std::span<const Element> elements, std::string_view table) {
  return state_->in_parts(elements, [&](auto part) { state_->remove(kMessageDestroyElements, part, table); });
}

std::uint32_t Batch::flush_set(SetId set, std::string_view table) {
  return state_->named(NFT_MSG_DELSETELEM, NFTA_SET_ELEM_LIST_TABLE, table, NFTA_SET_ELEM_LIST_SET, shape_of(set).name);
}

bool Batch::empty() const { return state_->next == state_->first + 1; }
std::uint32_t Batch::first_sequence() const { return state_->first; }
std::uint32_t Batch::next_sequence() const { return state_->next; }

std::span<const std::uint8_t> Batch::finish() {
  if (!state_->is_finished) {
    state_->writer.begin_message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, state_->next++, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    state_->writer.end_message();
    state_->is_finished = true;
  }
  return state_->writer.bytes();
}

}  // namespace namewall::nft
