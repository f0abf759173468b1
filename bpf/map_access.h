// Batched access to BPF maps by descriptor, with errors that name the map.
#pragma once

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/result.h"

namespace namewall::bpf {

inline constexpr std::uint32_t kBatchEntries = 4096;

template <typename Key, typename Value>
Result<void> update_all(int map_fd, const char* map_name, const std::vector<Key>& keys,
                        const std::vector<Value>& values) {
  for (std::size_t done = 0; done < keys.size();) {
    std::uint32_t count = static_cast<std::uint32_t>(std::min<std::size_t>(kBatchEntries, keys.size() - done));
    if (const int error = bpf_map_update_batch(map_fd, keys.data() + done, values.data() + done, &count, nullptr);
        error < 0) {
      return fail_errno(-error, std::string("cannot write ") + map_name);
    }
    done += count;
  }
  return {};
}

// Keys that are not there are no error.
template <typename Key>
Result<void> delete_all(int map_fd, const char* map_name, const std::vector<Key>& keys) {
  for (const Key& key : keys) {
    const int error = bpf_map_delete_elem(map_fd, &key);
    if (error < 0 && error != -ENOENT) return fail_errno(-error, std::string("cannot delete from ") + map_name);
  }
  return {};
}

// All values of an array map with `entries` elements.
template <typename Value>
Result<std::vector<Value>> read_array(int map_fd, const char* map_name, std::uint32_t entries) {
  std::vector<Value> values(entries);
  std::vector<std::uint32_t> keys(entries);
  std::uint32_t at = 0, next = 0;
  for (std::uint32_t done = 0; done < entries;) {
    std::uint32_t count = std::min(kBatchEntries, entries - done);
    const int error = bpf_map_lookup_batch(map_fd, done == 0 ? nullptr : &at, &next, keys.data() + done,
                                           values.data() + done, &count, nullptr);
    if (error < 0 && error != -ENOENT) return fail_errno(-error, std::string("cannot read ") + map_name);
    done += count;
    at = next;
    if (error == -ENOENT && done < entries) return fail(ErrorKind::kSystem, std::string("short read of ") + map_name);
  }
  return values;
}

}  // namespace namewall::bpf
