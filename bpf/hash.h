/* The keyed hashes that place grants and identify names: one definition for the programs and for user space. */
#ifndef NAMEWALL_BPF_HASH_H
#define NAMEWALL_BPF_HASH_H

#include "bpf/abi.h"

static inline __attribute__((always_inline)) __u64 nw_mix(__u64 hash, __u64 word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
  return hash ^ (hash >> 32);
}

/* One step of the hash of a DNS message: its bytes in words, zeros behind them; begins with seed ^ length. */
static inline __attribute__((always_inline)) __u64 nw_message_step(__u64 hash, __u64 word) {
  hash = nw_mix(hash, word) * 0xD6E8FEB86659FD93ULL;
  return hash ^ (hash >> 29);
}

struct nw_place {
  __u32 first;  /* bucket */
  __u32 second; /* bucket; may equal the first */
  __u32 tag;    /* never 0: a slot that was never used has tag 0 */
};

/* Where the grants of an address may lie. `bucket_count` > 0. */
static inline __attribute__((always_inline)) struct nw_place nw_place_of(const __u32* address, __u64 seed,
                                                                         __u32 bucket_count) {
  struct nw_place place;
  __u64 hash = nw_mix(nw_mix(seed, ((__u64)address[0] << 32) | address[1]), ((__u64)address[2] << 32) | address[3]);
  hash *= 0xD6E8FEB86659FD93ULL;
  __u64 other = hash * 0xff51afd7ed558ccdULL;
  place.tag = (__u32)hash | 1;
  place.first = (__u32)(((hash >> 32) * bucket_count) >> 32);
  place.second = (__u32)(((other >> 32) * bucket_count) >> 32);
  return place;
}

/* The id of the name in a window; never 0. */
static inline __attribute__((always_inline)) __u64 nw_name_id(const struct nw_window* window, __u64 seed) {
  __u64 even = seed, odd = seed ^ 0xA0761D6478BD642FULL;
#ifdef __bpf__
#pragma unroll
#endif
  for (int i = 0; i < NW_WINDOW_WORDS; i += 2) {
    even = nw_mix(even, window->words[i]);
    odd = nw_mix(odd, window->words[i + 1]);
  }
  __u64 hash = nw_mix(even, odd) * 0xD6E8FEB86659FD93ULL;
  hash ^= hash >> 29;
  return hash ? hash : 1;
}

#endif
