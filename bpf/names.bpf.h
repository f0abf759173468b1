/* The name table of a workload: what its grants refer to.
 *
 * A name lives as long as its longest grant. The reaper alone deletes: it turns the deadline into NW_DEADLINE_DEAD by
 * cmpxchg, then deletes by key. A learner that meets a dead entry waits for the delete, a bounded number of tries, and
 * withholds its answer at last: extending a dying entry would lose the grants with it. */
#ifndef NAMEWALL_BPF_NAMES_BPF_H
#define NAMEWALL_BPF_NAMES_BPF_H

#include "bpf/hash.h"
#include "bpf/name_rules.bpf.h"
#include "bpf/report.bpf.h"

/* The deadline of grants that never end (retain). What is learned with an end by then has one: the policy is another.
 */
#define WITHOUT_END (~0ULL >> 1)

#define WORD_GENERATION(word) ((__u32)((word) >> NW_MASK_BITS))
#define MAKE_WORD(generation, mask) (((__u64)(generation) << NW_MASK_BITS) | ((mask)&NW_MASK))
#define REAP_AT_BOUND 128
#define NAME_TRIES 64

#define READ_ONCE(x) (*(volatile __typeof__(x)*)&(x))

struct reap {
  __u64 before; /* deadlines up to here are over */
  __u64 next;   /* the smallest deadline seen that is not */
  __u32 removed;
  __u32 limit;
};

struct bpf_map;

static long reap_each(struct bpf_map* map, const __u64* id, struct nw_name* name, struct reap* reap) {
  __u64 deadline = READ_ONCE(name->deadline);
  if (deadline > reap->before) {
    if (deadline < reap->next) reap->next = deadline;
    return 0;
  }
  if (deadline == NW_DEADLINE_DEAD) return 0;
  if (__sync_val_compare_and_swap(&name->deadline, deadline, NW_DEADLINE_DEAD) != deadline) return 0;
  long error = bpf_map_delete_elem(map, id);
  if (error && error != -ENOENT) { /* its lock was busy: it must not stay dead, or nobody could ever learn it again */
    __sync_lock_test_and_set(&name->deadline, deadline);
    return 0;
  }
  return ++reap->removed >= reap->limit;
}

/* Removes at most `limit` names that expired before `before`; how many. */
__noinline int reap_names(__u32 slot, __u64 before, __u32 limit) {
  void* table = bpf_map_lookup_elem(&names, &slot);
  struct nw_stats* st = bpf_map_lookup_elem(&stats, &slot);
  if (!table || !st) return 0;
  struct reap reap = {.before = before, .next = ~0ULL, .limit = limit};
  bpf_for_each_map_elem(table, reap_each, &reap, 0);
  __sync_fetch_and_add(&st->counters[NW_COUNTER_NAMES_REAPED], reap.removed);
  if (reap.removed < limit) st->next_reap = reap.next;
  return reap.removed;
}

/* A learner found the table full. 1: there is room now. A table full of live names is scanned again only when one of
 * them can have expired, so that a workload cannot burn softirq time. */
static __always_inline int make_room(const struct nw_workload* w, __u64 now) {
  struct nw_stats* st = stats_of(w);
  if (!st || now < READ_ONCE(st->next_reap)) return 0;
  __sync_fetch_and_add(&st->counters[NW_COUNTER_REAP_SCANS], 1);
  return reap_names(w->slot, now, REAP_AT_BOUND) > 0;
}

__noinline int same_window(struct nw_window* a, struct nw_window* b) {
  if (!a || !b) return 0;
  __u64 difference = 0;
#pragma clang loop unroll(disable) /* unrolled it spills all words to the stack */
  for (int i = 0; i < NW_WINDOW_WORDS; i++) difference |= a->words[i] ^ b->words[i];
  return difference == 0;
}

/* The masks of the name in the window, where the table holds it as judged under the policy in force: a quarter of the
 * price of a trie lookup. 0: not known. */
__noinline int recall_name(struct scratch* s, struct nw_workload* w) {
  if (!s || !w) return 0;
  s->is_known = 0;
  __u32 slot = w->slot;
  __u64 id = s->name_id;
  void* table = bpf_map_lookup_elem(&names, &slot);
  struct nw_name* name = table ? bpf_map_lookup_elem(table, &id) : 0;
  if (!name) return 0;
  __u64 ports = READ_ONCE(name->ports), private_ports = READ_ONCE(name->private_ports);
  /* The id last: freed memory that is being filled anew gets it first. */
  if (!same_window(window_of(s), &name->window) || READ_ONCE(name->id) != id) return 0;
  s->is_known = 1;
  if (WORD_GENERATION(ports) != w->generation || WORD_GENERATION(private_ports) != w->generation) return 0;
  s->allow = ports & NW_MASK;
  s->allow_private = private_ports & NW_MASK;
  return 1;
}

struct put_name {
  struct scratch* s;
  struct nw_workload* w;
  __u32 reason; /* result: NW_REASON_NONE when the name is in the table until its deadline at least */
};

static long put_name_try(__u32 i, struct put_name* put) {
  struct scratch* s = put->s;
  struct nw_workload* w = put->w;
  __u32 slot = w->slot;
  void* table = bpf_map_lookup_elem(&names, &slot);
  if (!table) {
    put->reason = NW_REASON_NAMES_FULL;
    return 1;
  }
  __u64 id = s->name_id;
  __u64 ports = s->name.ports, private_ports = s->name.private_ports;
  struct nw_name* name = bpf_map_lookup_elem(table, &id);
  if (name) {
    if (!same_window(window_of(s), &name->window)) {
      put->reason = NW_REASON_NAME_COLLISION;
      return 1;
    }
    __u64 deadline = READ_ONCE(name->deadline);
    if (deadline == NW_DEADLINE_DEAD) return 0;
    int moves = deadline < s->last_deadline || (deadline == WITHOUT_END && s->last_deadline > s->now);
    if (moves && __sync_val_compare_and_swap(&name->deadline, deadline, s->last_deadline) != deadline) return 0;
    /* Live from here on, so the reaper leaves it; but it may have been freed and filled anew before. */
    if (READ_ONCE(name->id) != id) return 0;
    if (name->ports != ports) name->ports = ports;
    if (name->private_ports != private_ports) name->private_ports = private_ports;
    put->reason = NW_REASON_NONE;
    return 1;
  }
  s->name.id = id;
  s->name.deadline = s->last_deadline;
  s->name.length = s->name_length;
  s->name.labels = s->labels;
  copy_window(&s->name.window, window_of(s));
  long error = bpf_map_update_elem(table, &id, &s->name, BPF_NOEXIST);
  if (error == 0) {
    struct nw_stats* st = stats_of(w);
    if (st && s->last_deadline < READ_ONCE(st->next_reap)) st->next_reap = s->last_deadline;
    count(w, NW_COUNTER_NAMES_LEARNED);
    put->reason = NW_REASON_NONE;
    return 1;
  }
  if (error == -EEXIST /* another CPU was first */) return 0;
  if (error == -E2BIG && make_room(w, s->now)) return 0;
  if (error != -E2BIG) count(w, NW_COUNTER_HELPER_FAILURES);
  put->reason = NW_REASON_NAMES_FULL;
  return 1;
}

/* Puts the name in the window into the table, with `name.ports`, `name.private_ports` and `last_deadline`. */
__noinline int put_name(struct scratch* s, struct nw_workload* w) {
  if (!s || !w) return NW_REASON_NAMES_FULL;
  struct put_name put = {.s = s, .w = w, .reason = NW_REASON_NAME_CONTENDED};
  SHORT_LOOP(16, NAME_TRIES, put_name_try, &put);
  return put.reason;
}

/* The mask that the policy in force gives the name, for public or private addresses; 0 when the name is not known. The
 * first use under a new policy judges the name again. */
__noinline __u64 current_mask(struct nw_workload* w, __u64 name_id, __u32 is_private) {
  if (!w) return 0;
  __u32 slot = w->slot, generation = w->generation;
  void* table = bpf_map_lookup_elem(&names, &slot);
  if (!table) return 0;
  struct nw_name* name = bpf_map_lookup_elem(table, &name_id);
  if (!name) return 0;
  __u64 word = is_private ? READ_ONCE(name->private_ports) : READ_ONCE(name->ports);
  if (WORD_GENERATION(word) == generation) return READ_ONCE(name->id) == name_id ? word & NW_MASK : 0;
  struct scratch* s = claim_scratch(SCRATCH_REJUDGE);
  if (!s) {
    count(w, NW_COUNTER_HELPER_FAILURES);
    return 0;
  }
  copy_window(window_of(s), &name->window);
  s->reversed[WINDOW_LAST + 1] = 0;
  s->name_length = name->length;
  s->labels = name->labels;
  __u64 mask = 0;
  if (READ_ONCE(name->id) == name_id) {
    decide_name(s, w->policy_id);
    /* Readers take a word of another generation for nothing, so the order of these two does not matter, and a slower
     * judge of an older policy only makes the next reader judge again. */
    name->ports = MAKE_WORD(generation, s->allow);
    name->private_ports = MAKE_WORD(generation, s->allow_private);
    mask = (is_private ? s->allow_private : s->allow) & NW_MASK;
    count(w, NW_COUNTER_NAMES_REJUDGED);
  }
  release_scratch(s);
  return mask;
}

#endif
