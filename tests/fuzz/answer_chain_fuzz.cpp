// Bytes as a list of records over few names: follow_chain against what reachability says.
//
// One record per 4 bytes: owner, type and target, TTL (two bytes). Names are single letters, sometimes upper case.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "policy/answer_chain.h"

namespace {

using namespace namewall;

void require(bool promise) {
  if (!promise) std::abort();
}

std::string letter(unsigned index) { return std::string(1, static_cast<char>('a' + index % 24)); }

std::vector<ChainRecord> read_records(const std::uint8_t* data, std::size_t size) {
  std::vector<ChainRecord> records;
  for (std::size_t at = 0; at + 4 <= size && records.size() < kMaxAnswerRecords; at += 4) {
    ChainRecord record;
    record.owner = letter(data[at] & 0x7f);
    if ((data[at] & 0x80) != 0) record.owner[0] = static_cast<char>(record.owner[0] - 'a' + 'A');
    record.ttl = static_cast<std::uint32_t>(data[at + 2] << 8 | data[at + 3]);
    const unsigned kind = data[at + 1] & 3;
    record.type = kind == 0 ? kTypeA : kind == 1 ? kTypeAaaa : kTypeCname;
    if (record.type == kTypeCname) record.target = letter(data[at + 1] >> 2);
    // The address tells which record it is.
    const auto index = static_cast<std::uint16_t>(records.size());
    record.address = Address::v4({192, 0, static_cast<std::uint8_t>(index >> 8), static_cast<std::uint8_t>(index)});
    records.push_back(std::move(record));
  }
  return records;
}

std::size_t index_of(const Address& address) {
  return static_cast<std::size_t>(address.v4_bytes()[2]) << 8 | address.v4_bytes()[3];
}

std::string lower(std::string name) {
  name[0] = static_cast<char>(name[0] | 0x20);
  return name;
}

// The largest of the smallest TTLs over all paths from `start`: no path can give more.
std::map<std::string, std::uint32_t> widest_paths(const std::string& start, const std::vector<ChainRecord>& records) {
  std::map<std::string, std::uint32_t> widest = {{start, UINT32_MAX}};
  for (bool changed = true; changed;) {
    changed = false;
    for (const ChainRecord& record : records) {
      const auto from = widest.find(lower(record.owner));
      if (record.type != kTypeCname || from == widest.end()) continue;
      const std::uint32_t ttl = std::min(from->second, record.ttl);
      const auto [to, is_new] = widest.emplace(record.target, ttl);
      if (!is_new && to->second >= ttl) continue;
      to->second = ttl;
      changed = true;
    }
  }
  return widest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<ChainRecord> records = read_records(data, size);
  const std::vector<AddressRecord> found = follow_chain("a", records);
  const auto widest = widest_paths("a", records);

  std::vector<std::size_t> indexes;
  for (const AddressRecord& address : found) {
    const std::size_t index = index_of(address.address);
    require(index < records.size() && records[index].type != kTypeCname);
    require(address.from_aaaa == (records[index].type == kTypeAaaa));
    const auto path = widest.find(lower(records[index].owner));
    require(path != widest.end());  // reached: what is off the chain teaches nothing
    require(address.ttl <= std::min(path->second, records[index].ttl));
    indexes.push_back(index);
  }
  require(std::is_sorted(indexes.begin(), indexes.end()));
  require(std::adjacent_find(indexes.begin(), indexes.end()) == indexes.end());

  const auto aliases =
      std::count_if(records.begin(), records.end(), [](const auto& r) { return r.type == kTypeCname; });
  if (static_cast<std::size_t>(aliases) > kMaxAliases) return 0;
  for (std::size_t i = 0; i < records.size(); ++i) {  // nothing on the chain is left out
    if (records[i].type == kTypeCname || widest.count(lower(records[i].owner)) == 0) continue;
    require(std::binary_search(indexes.begin(), indexes.end(), i));
  }
  return 0;
}
