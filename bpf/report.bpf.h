/* Counting and reporting. Every refusal is counted by reason; it becomes an event within the workload's rate. */
#ifndef NAMEWALL_BPF_REPORT_BPF_H
#define NAMEWALL_BPF_REPORT_BPF_H

#include "bpf/maps.bpf.h"

static __always_inline struct nw_stats* stats_of(const struct nw_workload* w) {
  __u32 slot = w->slot;
  return bpf_map_lookup_elem(&stats, &slot);
}

static __always_inline void count(const struct nw_workload* w, enum nw_counter counter) {
  struct nw_stats* st = stats_of(w);
  if (st) __sync_fetch_and_add(&st->counters[counter & 31], 1);
}

/* What is known about a refusal when it happens. */
struct refusal {
  __u32 address[4];
  __u16 port;
  __u16 question_type;
  __u8 hook;
  __u8 reason;
  __u8 ip_protocol;
  __u8 reserved;
  __u32 pid;
  __u32 uid;
  __u64 netns_cookie;
  __s64 expired_for;
  __u64 name_id; /* of the name table, for the name; 0: none */
  __u8 command[16];
};

/* 1: an event of this workload may go out now. */
static __always_inline int event_rate_allows(struct nw_stats* st, __u64 now) {
  __u64 window = now >> 30, seen = st->window;
  if (seen != window && __sync_val_compare_and_swap(&st->window, seen, window) == seen)
    __sync_lock_test_and_set(&st->window_count, 0);
  if (__sync_fetch_and_add(&st->window_count, 1) < NW_EVENTS_PER_WINDOW) return 1;
  __sync_fetch_and_add(&st->left_out, 1);
  __sync_fetch_and_add(&st->counters[NW_COUNTER_EVENTS_LIMITED], 1);
  return 0;
}

/* What an event says of the refusal alone: nothing of a workload, no name, no packet. */
static __always_inline void describe_event(struct nw_event* e, const struct refusal* r, __u64 now) {
  e->time = now;
  e->netns_cookie = r->netns_cookie;
  e->expired_for = r->expired_for;
  e->pid = r->pid;
  e->uid = r->uid;
  __builtin_memcpy(e->address, r->address, sizeof(e->address));
  e->port = r->port;
  e->question_type = r->question_type;
  e->hook = r->hook;
  e->reason = r->reason;
  e->ip_protocol = r->ip_protocol;
  __builtin_memcpy(e->command, r->command, sizeof(e->command));
  e->name_length = 0;
  e->packet_length = 0;
}

/* Counts the refusal and takes room for its event; 0: none goes out. All but name, packet and submission is filled. */
static __always_inline struct nw_event* begin_event(const struct nw_workload* w, const struct refusal* r) {
  struct nw_stats* st = stats_of(w);
  if (!st) return 0;
  __sync_fetch_and_add(&st->reasons[r->reason & 63], 1);
  if (w->mode == NW_MODE_AUDIT) __sync_fetch_and_add(&st->counters[NW_COUNTER_ALLOWED_BY_AUDIT], 1);
  __u64 now = bpf_ktime_get_boot_ns();
  if (!event_rate_allows(st, now)) return 0;
  struct nw_event* e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
  if (!e) {
    __sync_fetch_and_add(&st->counters[NW_COUNTER_EVENTS_LOST], 1);
    __sync_fetch_and_add(&st->left_out, 1);
    return 0;
  }
  __sync_fetch_and_add(&st->counters[NW_COUNTER_EVENTS], 1);
  describe_event(e, r, now);
  e->cgroup_id = w->cgroup_id;
  e->left_out = __sync_lock_test_and_set(&st->left_out, 0);
  e->workload_id = w->workload_id;
  e->generation = w->generation;
  e->audit = w->mode == NW_MODE_AUDIT;
  return e;
}

__noinline int copy_window(struct nw_window* to, struct nw_window* from) {
  if (!to || !from) return 0;
#pragma unroll
  for (int i = 0; i < NW_WINDOW_WORDS; i++) to->words[i] = from->words[i];
  return 0;
}

/* Reports a refusal whose name, if any, is in the name table. */
__noinline int report_refusal(struct nw_workload* w, struct refusal* r) {
  if (!w || !r) return 0;
  struct nw_event* e = begin_event(w, r);
  if (!e) return 0;
  if (r->name_id) {
    __u32 slot = w->slot;
    void* table = bpf_map_lookup_elem(&names, &slot);
    __u64 id = r->name_id;
    struct nw_name* name = table ? bpf_map_lookup_elem(table, &id) : 0;
    if (name) {
      copy_window(&e->window, &name->window);
      if (name->id == id) e->name_length = name->length;
    }
  }
  bpf_ringbuf_submit(e, 0);
  return 0;
}

/* The end of every refusal: allowed after all in audit mode. */
static __always_inline int refused(const struct nw_workload* w) { return w->mode == NW_MODE_AUDIT; }

#endif
