#include "nft/set_message.h"

#include <linux/netfilter/nf_tables.h>

#include <cassert>
#include <cstring>

namespace namewall::nft {
namespace {

// The numbers of nft(8)'s data types (nftables include/datatype.h, enum datatypes): the kernel keeps them for it. A
// concatenation has six bits for each.
std::uint32_t type_of(KeyPart part) {
  switch (part) {
    case KeyPart::kCgroup:
      return 46;
    case KeyPart::kAddress4:
      return 7;
    case KeyPart::kAddress6:
      return 8;
    case KeyPart::kProtocol:
      return 12;
    case KeyPart::kPort:
      return 13;
    case KeyPart::kMark:
      return 19;
  }
  return 0;
}

bool is_in_host_order(KeyPart part) { return part == KeyPart::kCgroup || part == KeyPart::kMark; }

// TLVs of nft(8) (libnftnl/udata.h), values in the host's byte order: how it reads scalars. It goes by their types in
// concatenations, and writes 0 there.
void put_userdata(MessageWriter& writer, const SetShape& shape) {
  constexpr std::uint8_t kKeyByteOrder = 0, kDataByteOrder = 1;
  constexpr std::uint32_t kMixed = 0, kHost = 1, kNetwork = 2;
  std::vector<std::uint8_t> udata;
  const auto add = [&udata](std::uint8_t type, std::uint32_t value) {
    udata.push_back(type);
    udata.push_back(sizeof(value));
    udata.resize(udata.size() + sizeof(value));
    std::memcpy(udata.data() + udata.size() - sizeof(value), &value, sizeof(value));
  };
  const auto order_of = [](std::span<const KeyPart> parts) {
    if (parts.size() > 1) return kMixed;
    return is_in_host_order(parts[0]) ? kHost : kNetwork;
  };
  add(kKeyByteOrder, order_of(shape.key));
  if (!shape.data.empty()) add(kDataByteOrder, order_of(shape.data));
  writer.put(NFTA_SET_USERDATA, udata);
}

std::uint32_t flags_of(const SetShape& shape) {
  std::uint32_t flags = 0;
  if (shape.has_intervals) flags |= NFT_SET_INTERVAL;
  if (shape.has_intervals && shape.key.size() > 1) flags |= NFT_SET_CONCAT;
  if (!shape.data.empty()) flags |= NFT_SET_MAP;
  if (shape.has_timeouts) flags |= NFT_SET_TIMEOUT;
  if (shape.is_dynamic) flags |= NFT_SET_EVAL;
  return flags;
}

void put_description(MessageWriter& writer, const SetShape& shape) {
  const bool tells_fields = shape.has_intervals && shape.key.size() > 1;
  if (shape.size == 0 && !tells_fields) return;
  const auto description = writer.begin_nest(NFTA_SET_DESC);
  if (shape.size != 0) writer.put_u32(NFTA_SET_DESC_SIZE, shape.size);
  if (tells_fields) {
    const auto concat = writer.begin_nest(NFTA_SET_DESC_CONCAT);
    for (const auto part : shape.key) {
      const auto field = writer.begin_nest(NFTA_LIST_ELEM);
      writer.put_u32(NFTA_SET_FIELD_LEN, static_cast<std::uint32_t>(length_of(part)));
      writer.end_nest(field);
    }
    writer.end_nest(concat);
  }
  writer.end_nest(description);
}

void put_stateful(MessageWriter& writer, Stateful stateful) {
  if (stateful == Stateful::kNone) return;
  const auto expression = writer.begin_nest(NFTA_SET_EXPR);
  writer.put_string(NFTA_EXPR_NAME, stateful == Stateful::kCounter ? "counter" : "limit");
  const auto data = writer.begin_nest(NFTA_EXPR_DATA);
  if (stateful == Stateful::kLimit) {
    writer.put_u64(NFTA_LIMIT_RATE, kReportRate);
    writer.put_u64(NFTA_LIMIT_UNIT, 1);  // seconds
    writer.put_u32(NFTA_LIMIT_BURST, kReportBurst);
    writer.put_u32(NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
    writer.put_u32(NFTA_LIMIT_FLAGS, 0);
  }
  writer.end_nest(data);
  writer.end_nest(expression);
}

}  // namespace

void put_set(MessageWriter& writer, const SetShape& shape, std::string_view table) {
  assert(!shape.has_intervals || shape.key.size() > 1);  // one field would be a tree, whose elements are half-open
  std::uint32_t key_type = 0;
  for (const auto part : shape.key) key_type = key_type << 6 | type_of(part);
  writer.put_string(NFTA_SET_TABLE, table);
  writer.put_string(NFTA_SET_NAME, shape.name);
  writer.put_u32(NFTA_SET_FLAGS, flags_of(shape));
  writer.put_u32(NFTA_SET_KEY_TYPE, key_type);
  writer.put_u32(NFTA_SET_KEY_LEN, static_cast<std::uint32_t>(key_size(shape)));
  if (!shape.data.empty()) {
    writer.put_u32(NFTA_SET_DATA_TYPE, type_of(shape.data[0]));
    writer.put_u32(NFTA_SET_DATA_LEN, static_cast<std::uint32_t>(length_of(shape.data[0])));
  }
  writer.put_u32(NFTA_SET_ID, static_cast<std::uint32_t>(shape.id) + 1);
  if (shape.gc_interval_ms != 0) writer.put_u32(NFTA_SET_GC_INTERVAL, shape.gc_interval_ms);
  put_description(writer, shape);
  put_userdata(writer, shape);
  put_stateful(writer, shape.stateful);
}

}  // namespace namewall::nft
