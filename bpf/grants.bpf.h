/* The grants of a workload: an array of 8-slot buckets, two choices for an address.
 *
 * A slot is claimed by cmpxchg of its deadline from a time that is over to NW_DEADLINE_BUSY; its fields are written;
 * the new deadline publishes them. A live slot is never claimed, so a reader that saw a live deadline, read the fields
 * and sees the same deadline again has read one grant. An expired slot stays what it was until somebody needs the room.
 *
 * Children of a template may share one array (NW_FLAG_POOLED): a slot is its owner's alone, and one owner holds at most
 * NW_POOL_SHARE live slots of a bucket. */
#ifndef NAMEWALL_BPF_GRANTS_BPF_H
#define NAMEWALL_BPF_GRANTS_BPF_H

#include "bpf/names.bpf.h"

/* Where a packet or a connection wants to go. */
struct destination {
  __u32 address[4];
  __u32 key; /* protocol index << 16 | port */
  __u32 ip_protocol;
  __u64 bit; /* of the key's port class; 0: no rule names the port */
  __u64 now;
  __u64 since; /* grants live after this time count: now, or earlier where a grace applies */
  /* of a refusal */
  __u64 name_id;
  __s64 expired_for;
};

static __always_inline int same_address(const __u32* a, const __u32* b) {
  return a[3] == b[3] && a[2] == b[2] && a[1] == b[1] && a[0] == b[0];
}

/* The port class of a key; 63 when there is none. */
__noinline int port_class_of(struct nw_workload* w, __u32 key) {
  if (!w) return 63;
  __u32 at = 0;
  if (w->interval_count > 16) {
#pragma unroll
    for (__u32 step = NW_MAX_PORT_INTERVALS / 2; step >= 16; step /= 2)
      if ((w->intervals[(at + step) & (NW_MAX_PORT_INTERVALS - 1)] >> 8) <= key) at += step;
  }
#pragma unroll
  for (__u32 step = 8; step; step /= 2)
    if ((w->intervals[(at + step) & (NW_MAX_PORT_INTERVALS - 1)] >> 8) <= key) at += step;
  return w->intervals[at & (NW_MAX_PORT_INTERVALS - 1)] & 63;
}

/* Whether the slot is of this workload and this address. */
static __always_inline int is_slot_of(const struct nw_workload* w, const struct nw_grant* grant, const __u32* address) {
  return same_address(grant->address, address) && READ_ONCE(grant->owner) == w->workload_id;
}

static __always_inline void count_use(struct nw_grant* grant) {
  if ((READ_ONCE(grant->use) & NW_USE_HITS) < NW_USE_HITS_MAX) __sync_fetch_and_add(&grant->use, 1);
}

static __always_inline __u64 bit_of(struct nw_workload* w, __u32 key) {
  return (1ULL << port_class_of(w, key)) & NW_PORT_BITS;
}

enum grant_match { GRANT_NONE, GRANT_OTHER_PORT, GRANT_MATCH };

__noinline int match_slot(struct nw_workload* w, struct destination* d, struct nw_grant* grant) {
  if (!w || !d || !grant) return GRANT_NONE;
  /* The deadline moves when the grant is refreshed meanwhile: look again, a bounded number of times. */
  for (int i = 0; i < 4; i++) {
    __u64 deadline = READ_ONCE(grant->deadline);
    if (deadline <= d->since || deadline <= NW_DEADLINE_DEAD) return GRANT_NONE;
    if (!is_slot_of(w, grant, d->address)) return GRANT_NONE;
    __u64 name_id = READ_ONCE(grant->name_id), word = READ_ONCE(grant->ports);
    __u32 use = READ_ONCE(grant->use);
    if (READ_ONCE(grant->deadline) != deadline) continue;
    if (NW_USE_NOTE(use)) return GRANT_NONE;
    __u64 mask = word & NW_MASK;
    if (WORD_GENERATION(word) != w->generation) mask = current_mask(w, name_id, use & NW_USE_PRIVATE);
    if (mask & d->bit) {
      count_use(grant);
      return GRANT_MATCH;
    }
    return mask & NW_PORT_BITS ? GRANT_OTHER_PORT : GRANT_NONE;
  }
  return GRANT_NONE;
}

/* match_slot's common case, without a call: a live grant, judged under the policy in force, with the port. */
static __always_inline int is_settled_match(const struct nw_workload* w, const struct destination* d,
                                            struct nw_grant* grant) {
  __u64 deadline = READ_ONCE(grant->deadline), word = READ_ONCE(grant->ports);
  if (deadline <= d->since || WORD_GENERATION(word) != w->generation || !(word & d->bit)) return 0;
  if (!is_slot_of(w, grant, d->address) || NW_USE_NOTE(READ_ONCE(grant->use))) return 0;
  if (READ_ONCE(grant->deadline) != deadline) return 0;
  count_use(grant);
  return 1;
}

static __always_inline enum grant_match match_bucket(struct nw_workload* w, struct destination* d, void* buckets,
                                                     __u32 index, __u32 tag) {
  struct nw_grant_bucket* bucket = bpf_map_lookup_elem(buckets, &index);
  if (!bucket) return GRANT_NONE;
  enum grant_match best = GRANT_NONE;
  for (__u32 i = 0; i < NW_SLOTS_PER_BUCKET; i++) {
    if (READ_ONCE(bucket->tags[i]) != tag) continue;
    if (is_settled_match(w, d, &bucket->slots[i])) return GRANT_MATCH;
    int match = match_slot(w, d, &bucket->slots[i]);
    if (match == GRANT_MATCH) return GRANT_MATCH;
    if (match == GRANT_OTHER_PORT) best = GRANT_OTHER_PORT;
  }
  return best;
}

/* Whether a grant that is live after d->since covers the destination. */
__noinline int find_grant(struct nw_workload* w, struct destination* d) {
  if (!w || !d) return GRANT_NONE;
  __u32 slot = w->slot, bucket_count = w->bucket_count;
  void* buckets = bpf_map_lookup_elem(&grants, &slot);
  if (!buckets || !bucket_count) return GRANT_NONE;
  struct nw_place place = nw_place_of(d->address, w->seed, bucket_count);
  enum grant_match first = match_bucket(w, d, buckets, place.first, place.tag);
  if (first == GRANT_MATCH || place.first == place.second) return first;
  enum grant_match second = match_bucket(w, d, buckets, place.second, place.tag);
  return second > first ? second : first;
}

/* Why no grant covers the destination: the reasons of policy/verdict.h in their order. Only a refusal pays for this. */
enum refusal_rank {
  RANK_NONE,
  RANK_EXPIRED_NO_PORT,
  RANK_EXPIRED_OTHER_PORT,
  RANK_SPECIAL_NOTE,
  RANK_PRIVATE_NOTE,
  RANK_NO_PORT,
  RANK_EXPIRED,
  RANK_PORT,
};

struct refusal_search {
  struct nw_workload* w;
  struct destination* d;
  struct nw_place place;
  __u32 rank;
  __u32 reason;
};

static long rank_slot(__u32 i, struct refusal_search* found) {
  struct nw_workload* w = found->w;
  struct destination* d = found->d;
  __u32 slot = w->slot, index = i < NW_SLOTS_PER_BUCKET ? found->place.first : found->place.second;
  void* buckets = bpf_map_lookup_elem(&grants, &slot);
  struct nw_grant_bucket* bucket = buckets ? bpf_map_lookup_elem(buckets, &index) : 0;
  if (!bucket) return 1;
  struct nw_grant* grant = &bucket->slots[i & (NW_SLOTS_PER_BUCKET - 1)];
  __u64 deadline = READ_ONCE(grant->deadline);
  if (deadline <= NW_DEADLINE_DEAD || !is_slot_of(w, grant, d->address)) return 0;
  __u64 name_id = READ_ONCE(grant->name_id), word = READ_ONCE(grant->ports);
  __u32 use = READ_ONCE(grant->use), note = NW_USE_NOTE(use), rank, reason;
  if (note) {
    rank = note == NW_REASON_PRIVATE_ANSWER ? RANK_PRIVATE_NOTE : RANK_SPECIAL_NOTE;
    reason = note;
  } else {
    __u64 mask = word & NW_MASK;
    if (WORD_GENERATION(word) != w->generation) mask = current_mask(w, name_id, use & NW_USE_PRIVATE);
    __u32 has_ports = (mask & NW_PORT_BITS) != 0;
    if (deadline > d->now) {
      rank = has_ports ? RANK_PORT : RANK_NO_PORT;
      reason = has_ports ? NW_REASON_PORT : NW_REASON_NOT_ALLOWED_NOW;
    } else {
      rank = mask & d->bit ? RANK_EXPIRED : has_ports ? RANK_EXPIRED_OTHER_PORT : RANK_EXPIRED_NO_PORT;
      reason = has_ports ? NW_REASON_EXPIRED : NW_REASON_NOT_ALLOWED_NOW;
    }
  }
  if (rank <= found->rank) return 0;
  found->rank = rank;
  found->reason = reason;
  d->name_id = name_id;
  d->expired_for = deadline <= d->now ? (__s64)(d->now - deadline) : 0;
  return 0;
}

/* The reason of a refusal by grants; sets d->name_id and d->expired_for. */
__noinline int why_not_granted(struct nw_workload* w, struct destination* d) {
  if (!w || !d || !w->bucket_count) return NW_REASON_NOT_LOOKED_UP;
  struct refusal_search found = {.w = w, .d = d, .rank = RANK_NONE, .reason = NW_REASON_NOT_LOOKED_UP};
  found.place = nw_place_of(d->address, w->seed, w->bucket_count);
  SHORT_LOOP(2 * NW_SLOTS_PER_BUCKET, 2 * NW_SLOTS_PER_BUCKET, rank_slot, &found);
  return found.reason;
}

/* ---- learning ---- */

enum put_result { PUT_DONE, PUT_NOTHING, PUT_RACED };

/* How many slots of a shared bucket the workload holds: live ones, and those that are being written. Counted before a
 * claim, and after it again: answers on two CPUs may claim for one owner, and then each sees the other's. */
__noinline int held_slots(struct nw_workload* w, struct nw_grant_bucket* bucket, __u64 now) {
  if (!w || !bucket) return NW_SLOTS_PER_BUCKET;
  __u32 held = 0;
  for (__u32 i = 0; i < NW_SLOTS_PER_BUCKET; i++) { /* without branches, as free_slots */
    __u64 deadline = READ_ONCE(bucket->slots[i].deadline), owner = READ_ONCE(bucket->slots[i].owner);
    __u64 is_live = (now - deadline) >> 63, is_busy = ((deadline ^ NW_DEADLINE_BUSY) - 1) >> 63;
    held += (is_live | is_busy) & (((owner ^ w->workload_id) - 1) >> 63);
  }
  return held;
}

/* Whether a grant would go beyond the workload's share of a bucket where it holds `held` slots already. */
static __always_inline int exceeds_share(struct nw_workload* w, struct nw_grant_bucket* bucket, const struct lesson* l,
                                         int held) {
  return (w->flags & NW_FLAG_POOLED) && !l->note && held_slots(w, bucket, l->now) > held;
}

/* Extends the live grant of the same name and address, or takes over its expired slot. */
__noinline int refresh_in(struct nw_workload* w, struct nw_grant_bucket* bucket, struct lesson* l) {
  if (!w || !bucket || !l) return PUT_NOTHING;
  for (__u32 i = 0; i < NW_SLOTS_PER_BUCKET; i++) {
    if (READ_ONCE(bucket->tags[i]) != l->tag) continue;
    struct nw_grant* grant = &bucket->slots[i];
    __u64 deadline = READ_ONCE(grant->deadline);
    if (deadline <= NW_DEADLINE_DEAD) continue;
    if (grant->name_id != l->name_id || !is_slot_of(w, grant, l->address)) continue;
    if (deadline <= l->now) {
      if (exceeds_share(w, bucket, l, NW_POOL_SHARE - 1)) continue;
      if (__sync_val_compare_and_swap(&grant->deadline, deadline, NW_DEADLINE_BUSY) != deadline) return PUT_RACED;
      if (exceeds_share(w, bucket, l, NW_POOL_SHARE)) {
        __sync_lock_test_and_set(&grant->deadline, deadline);
        return PUT_RACED;
      }
      grant->ports = l->word;
      grant->use = (grant->use & NW_USE_HITS) | NW_MAKE_USE(l->note, l->is_private);
      __sync_lock_test_and_set(&grant->deadline, l->deadline);
      count(w, NW_COUNTER_LEARNED);
      return PUT_DONE;
    }
    if (l->note) return PUT_DONE; /* a live grant is worth more than a note */
    int moves = deadline < l->deadline || deadline == WITHOUT_END;
    if (moves && __sync_val_compare_and_swap(&grant->deadline, deadline, l->deadline) != deadline) return PUT_RACED;
    /* Live, so nobody claims it: its words may be written. */
    if (grant->ports != l->word) grant->ports = l->word;
    count(w, NW_COUNTER_REFRESHED);
    return PUT_DONE;
  }
  return PUT_NOTHING;
}

/* How many slots are over; without branches, or the verifier walks all 2^8 outcomes. Times are below 2^63. */
static __always_inline __u32 free_slots(struct nw_grant_bucket* bucket, __u64 now) {
  __u32 free = 0;
  for (__u32 i = 0; i < NW_SLOTS_PER_BUCKET; i++) free += (READ_ONCE(bucket->slots[i].deadline) - now - 1) >> 63;
  return free;
}

/* Claims the slot that has been over for longest. */
__noinline int claim_in(struct nw_workload* w, struct nw_grant_bucket* bucket, struct lesson* l) {
  if (!w || !bucket || !l || exceeds_share(w, bucket, l, NW_POOL_SHARE - 1)) return PUT_NOTHING;
  __u64 oldest = ~0ULL;
  __u32 chosen = NW_SLOTS_PER_BUCKET;
  for (__u32 i = 0; i < NW_SLOTS_PER_BUCKET; i++) {
    __u64 deadline = READ_ONCE(bucket->slots[i].deadline);
    if (deadline > l->now || deadline == NW_DEADLINE_BUSY || deadline >= oldest) continue;
    oldest = deadline;
    chosen = i;
  }
  if (chosen >= NW_SLOTS_PER_BUCKET) return PUT_NOTHING;
  struct nw_grant* grant = &bucket->slots[chosen & (NW_SLOTS_PER_BUCKET - 1)];
  if (__sync_val_compare_and_swap(&grant->deadline, oldest, NW_DEADLINE_BUSY) != oldest) return PUT_RACED;
  __u32 former = __sync_lock_test_and_set(&grant->owner, w->workload_id);
  if (exceeds_share(w, bucket, l, NW_POOL_SHARE)) {
    grant->owner = former;
    __sync_lock_test_and_set(&grant->deadline, oldest);
    return PUT_RACED;
  }
  grant->ports = l->word;
  grant->name_id = l->name_id;
  __builtin_memcpy(grant->address, l->address, sizeof(grant->address));
  grant->use = NW_MAKE_USE(l->note, l->is_private);
  bucket->tags[chosen & (NW_SLOTS_PER_BUCKET - 1)] = l->tag;
  __sync_lock_test_and_set(&grant->deadline, l->deadline);
  count(w, NW_COUNTER_LEARNED);
  return PUT_DONE;
}

struct put_grant {
  struct nw_workload* w;
  struct lesson* l;
  __u32 result;
};

static long put_grant_try(__u32 i, struct put_grant* put) {
  struct nw_workload* w = put->w;
  struct lesson* l = put->l;
  __u32 slot = w->slot, bucket_count = w->bucket_count;
  void* buckets = bpf_map_lookup_elem(&grants, &slot);
  if (!buckets || !bucket_count) return 1;
  struct nw_place place = nw_place_of(l->address, w->seed, bucket_count);
  l->tag = place.tag;
  struct nw_grant_bucket* first = bpf_map_lookup_elem(buckets, &place.first);
  struct nw_grant_bucket* second = bpf_map_lookup_elem(buckets, &place.second);
  if (!first || !second) return 1;
  put->result = refresh_in(w, first, l);
  if (put->result == PUT_NOTHING) put->result = refresh_in(w, second, l);
  if (put->result == PUT_NOTHING) {
    int second_is_better = free_slots(second, l->now) > free_slots(first, l->now);
    put->result = claim_in(w, second_is_better ? second : first, l);
    /* A shared bucket with room may hold the workload's share already. */
    if (put->result == PUT_NOTHING && (w->flags & NW_FLAG_POOLED))
      put->result = claim_in(w, second_is_better ? first : second, l);
  }
  return put->result != PUT_RACED;
}

/* 1: the grant is in the table until its deadline at least. */
__noinline int put_grant(struct nw_workload* w, struct lesson* l) {
  if (!w || !l) return 0;
  struct put_grant put = {.w = w, .l = l, .result = PUT_NOTHING};
  SHORT_LOOP(16, 16, put_grant_try, &put);
  return put.result == PUT_DONE;
}

#endif
