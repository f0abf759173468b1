#include "nft/element_message.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>

#include "nft/attribute.h"
#include "nft/kernel_abi.h"
#include "nft/message_writer.h"

namespace namewall::nft {
namespace {

void begin_request(MessageWriter& writer, SetId set, std::string_view table) {
  writer.begin_message(message_type(NFT_MSG_GETSETELEM), NLM_F_REQUEST, 0, NFPROTO_INET);
  writer.put_string(NFTA_SET_ELEM_LIST_TABLE, table);
  writer.put_string(NFTA_SET_ELEM_LIST_SET, shape_of(set).name);
}

Bytes take(const MessageWriter& writer) { return {writer.bytes().begin(), writer.bytes().end()}; }

void read_data(const Attribute& data, Bytes& bytes) {
  if (const auto value = data.nested().find(NFTA_DATA_VALUE))
    bytes.assign(value->payload.begin(), value->payload.end());
}

Nanoseconds read_milliseconds(const Attribute& attribute) {
  constexpr auto kMost = static_cast<std::uint64_t>(Nanoseconds::max().count()) / 1'000'000;
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(attribute.u64(), kMost)));
}

void read_comment(std::span<const std::uint8_t> udata, std::string& comment) {
  while (udata.size() >= 2) {
    const std::size_t size = udata[1];
    if (udata.size() < 2 + size) return;
    if (udata[0] == 0 && size > 0) {
      comment.assign(reinterpret_cast<const char*>(udata.data()) + 2, size - 1);
      return;
    }
    udata = udata.subspan(2 + size);
  }
}

void read_counter(const Attribute& expression, Element& element) {
  const auto data = expression.nested().find(NFTA_EXPR_DATA);
  if (!data) return;
  for (const auto& field : data->nested()) {
    if (field.type == NFTA_COUNTER_PACKETS) element.packets = field.u64();
    if (field.type == NFTA_COUNTER_BYTES) element.bytes = field.u64();
  }
}

void clear(Element& element, SetId set) {
  element.set = set;
  element.key.clear();
  element.key_end.clear();
  element.data.clear();
  element.timeout.reset();
  element.expires.reset();
  element.comment.clear();
  element.packets = element.bytes = 0;
}

void read_element(const Attribute& nest, bool has_counter, Element& element) {
  for (const auto& attribute : nest.nested()) {
    switch (attribute.type) {
      case NFTA_SET_ELEM_KEY:
        read_data(attribute, element.key);
        break;
      case NFTA_SET_ELEM_KEY_END:
        read_data(attribute, element.key_end);
        break;
      case NFTA_SET_ELEM_DATA:
        read_data(attribute, element.data);
        break;
      case NFTA_SET_ELEM_TIMEOUT:
        element.timeout = read_milliseconds(attribute);
        break;
      case NFTA_SET_ELEM_EXPIRATION:
        element.expires = read_milliseconds(attribute);
        break;
      case NFTA_SET_ELEM_USERDATA:
        read_comment(attribute.payload, element.comment);
        break;
      case NFTA_SET_ELEM_EXPR:
        if (has_counter) read_counter(attribute, element);
        break;
      default:
        break;
    }
  }
}

}  // namespace

Bytes get_elements_request(SetId set, std::string_view table) {
  MessageWriter writer;
  begin_request(writer, set, table);
  writer.end_message();
  return take(writer);
}

Bytes get_elements_request(std::span<const Element> elements, std::string_view table) {
  MessageWriter writer;
  begin_request(writer, elements[0].set, table);
  const auto list = writer.begin_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  const auto put = [&](std::uint16_t attribute, const Bytes& bytes) {
    if (bytes.empty()) return;
    const auto data = writer.begin_nest(attribute);
    writer.put(NFTA_DATA_VALUE, bytes);
    writer.end_nest(data);
  };
  for (const auto& element : elements) {
    const auto one = writer.begin_nest(NFTA_LIST_ELEM);
    put(NFTA_SET_ELEM_KEY, element.key);
    put(NFTA_SET_ELEM_KEY_END, element.key_end);
    writer.end_nest(one);
  }
  writer.end_nest(list);
  writer.end_message();
  return take(writer);
}

void each_element(const nlmsghdr& message, SetId set, const std::function<void(const Element&)>& each) {
  const auto& shape = shape_of(set);
  const auto size = key_size(shape);
  const auto list = attributes_of(message).find(NFTA_SET_ELEM_LIST_ELEMENTS);
  if (!list) return;
  Element element;
  for (const auto& nest : list->nested()) {
    clear(element, set);
    read_element(nest, shape.stateful == Stateful::kCounter, element);
    if (element.key.size() != size) continue;
    if (!element.key_end.empty() && element.key_end.size() != size) continue;
    each(element);
  }
}

}  // namespace namewall::nft
