#include "bpf/asker_book.h"

#include <bpf/bpf.h>
#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bpf/abi.h"
#include "bpf/hash.h"
#include "bpf/rule_entries.h"

namespace namewall::bpf {
namespace {

constexpr std::uint64_t kLongestWait = 5'000'000'000;  // ns

std::uint64_t hash_message(std::uint64_t secret, const std::vector<std::uint8_t>& message) {
  std::uint64_t hash = secret ^ message.size();
  for (std::size_t at = 0; at < message.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, message.data() + at, std::min(sizeof(word), message.size() - at));
    hash = nw_message_step(hash, word);
  }
  return hash;
}

std::uint64_t boot_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

Result<AskerBook> AskerBook::open(int askers_fd, int secret_fd) {
  const std::uint32_t first = 0;
  std::uint64_t secret = 0;
  if (const int error = bpf_map_lookup_elem(secret_fd, &first, &secret); error < 0)
    return fail_errno(-error, "cannot read the key of the askers");
  if (secret == 0) {
    if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret)) return fail_errno(errno, "cannot draw a key");
    if (const int error = bpf_map_update_elem(secret_fd, &first, &secret, BPF_ANY); error < 0)
      return fail_errno(-error, "cannot write the key of the askers");
  }
  return AskerBook(askers_fd, secret);
}

std::optional<std::uint64_t> AskerBook::take(const AskerKey& key) const {
  if (key.message.empty() || key.message.size() > NW_ASKER_MESSAGE) return std::nullopt;
  nw_asker_key at{};
  at.netns_cookie = key.netns_cookie;
  at.hash = hash_message(secret_, key.message);
  copy_address(key.address, at.address);
  at.port = key.port.number;
  nw_asker asker{};
  if (bpf_map_lookup_elem(askers_fd_, &at, &asker) < 0 || bpf_map_delete_elem(askers_fd_, &at) < 0) return std::nullopt;
  if (boot_nanoseconds() > asker.time + kLongestWait) return std::nullopt;
  return asker.cgroup_id;
}

}  // namespace namewall::bpf
