/* Whose the packet or the socket is. A cgroup that is armed is one workload with all below it. A *template* holds each
 * direct child of its cgroup apart: the child's row is made when it does something for the first time, and made anew
 * when the template's policy is another one; user space need not be there. The template's own processes are not
 * restricted.
 *
 * A row is only ever replaced as a whole or deleted, and freed one RCU grace period later: programs run inside one, so
 * what they read of a row is one child under one policy. */
#ifndef NAMEWALL_BPF_CHILDREN_BPF_H
#define NAMEWALL_BPF_CHILDREN_BPF_H

#include "bpf/hash.h"
#include "bpf/report.bpf.h"
#include "bpf/socket_cgroup.bpf.h"

#define CHILD_TRIES 4
#define ROW_BUFFERS 4

/* A row being built, claimed like the scratches. */
struct row_buffer {
  __u32 busy;
  __u32 reserved;
  struct nw_workload row;
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct row_buffer);
  __uint(max_entries, ROW_BUFFERS);
} row_buffers SEC(".maps");

static __always_inline struct row_buffer* claim_row_buffer(void) {
  for (__u32 i = 0; i < ROW_BUFFERS; i++) {
    __u32 index = i;
    struct row_buffer* buffer = bpf_map_lookup_elem(&row_buffers, &index);
    if (!buffer) return 0;
    if (__sync_val_compare_and_swap(&buffer->busy, 0, 1) == 0) return buffer;
  }
  return 0;
}

static __always_inline struct nw_child_key child_key(__u64 id, __u32 prefixlen) {
  struct nw_child_key key = {
      .prefixlen = prefixlen, .cgroup_id = {(__u32)id, (__u32)(id >> 32)}, .own = prefixlen == NW_OWN_PREFIX};
  return key;
}

static __always_inline struct nw_workload* find_row(__u64 id) {
  struct nw_child_key key = child_key(id, NW_OWN_PREFIX);
  return bpf_map_lookup_elem(&children, &key);
}

/* A policy id and a generation say which policy; mode and flags may change under them (strict, deny all). */
static __always_inline int is_in_force(const struct nw_workload* row, const struct nw_workload* t) {
  if (row->flags & NW_FLAG_OWN_POLICY) return 1;
  return row->policy_id == t->policy_id && row->generation == t->generation && row->mode == t->mode &&
         ((row->flags ^ t->flags) & ~NW_FLAGS_OF_CHILD) == 0;
}

__noinline int copy_workload(struct nw_workload* to, struct nw_workload* from) {
  if (!to || !from) return 0;
  __u64 *out = (__u64*)to, *in = (__u64*)from;
#pragma clang loop unroll(disable)
  for (__u32 i = 0; i < sizeof(*to) / sizeof(__u64); i++) out[i] = in[i];
  return 0;
}

/* Tables of its own for the row; the template's where there are none. 1: they are its own. */
static __always_inline int take_tables(struct nw_workload* t, struct nw_workload* row, struct nw_spare* spare) {
  if (bpf_map_pop_elem(&spare_tables, spare) == 0) {
    row->slot = spare->slot;
    row->workload_id = spare->workload_id;
    row->bucket_count = spare->bucket_count;
    row->seed = spare->seed;
    row->token = (__u16)spare->token;
    return 1;
  }
  __u32 first = 0;
  __u32* used = bpf_map_lookup_elem(&pooled_ids, &first);
  __u32 number = used ? __sync_fetch_and_add(used, 1) : 0;
  row->flags |= NW_FLAG_POOLED;
  row->token = 0; /* there are not enough for them */
  row->workload_id = NW_FIRST_POOLED_ID | number;
  row->seed = nw_mix(nw_mix(t->seed, row->cgroup_id), ~t->seed);
  return 0;
}

static __always_inline int make_row(struct nw_workload* t, struct nw_workload* row, struct nw_child_key* key) {
  struct nw_spare spare = {};
  int has_own_tables = take_tables(t, row, &spare);
  long error = bpf_map_update_elem(&children, key, row, BPF_NOEXIST);
  if (error) {
    if (has_own_tables) bpf_map_push_elem(&spare_tables, &spare, 0);
    return error;
  }
  count(t, NW_COUNTER_CHILDREN);
  if (!has_own_tables) count(t, NW_COUNTER_CHILDREN_POOLED);
  return 0;
}

/* Only where it still is: user space may have deleted it meanwhile, and its slot is about to be somebody else's. */
static __always_inline int renew_row(struct nw_workload* known, struct nw_workload* row, struct nw_child_key* key) {
  row->flags |= known->flags & NW_FLAG_POOLED;
  row->workload_id = known->workload_id;
  row->slot = known->slot;
  row->seed = known->seed;
  row->token = known->token;
  row->bucket_count = known->bucket_count;
  return bpf_map_update_elem(&children, key, row, BPF_EXIST);
}

/* Writes the child's row as the template is now. 0, or the error. */
__noinline int settle_child(struct nw_workload* t, __u64 id) {
  if (!t) return -EACCES;
  struct row_buffer* buffer = claim_row_buffer();
  if (!buffer) {
    count(t, NW_COUNTER_HELPER_FAILURES);
    return -EACCES;
  }
  struct nw_workload* row = &buffer->row;
  copy_workload(row, t);
  row->flags = (t->flags & ~NW_FLAGS_OF_CHILD) | NW_FLAG_CHILD;
  row->cgroup_id = id;
  row->cgroup_level = t->cgroup_level + 1;
  row->template_id = t->cgroup_id;
  struct nw_child_key key = child_key(id, NW_CHILD_PREFIX);
  struct nw_workload* known = bpf_map_lookup_elem(&children, &key);
  int error = known ? renew_row(known, row, &key) : make_row(t, row, &key);
  __sync_lock_test_and_set(&buffer->busy, 0);
  return error;
}

/* Counts and reports that a child cannot be told or has no row; 1: audit lets it pass. */
__noinline int report_child(struct nw_workload* t, __u64 id, __u32 hook) {
  if (!t) return 0;
  struct refusal r = {.hook = (__u8)hook, .reason = id ? NW_REASON_CHILD_NO_ROOM : NW_REASON_NOT_ARMED};
  struct nw_event* e = begin_event(t, &r);
  if (e) {
    e->cgroup_id = id;
    bpf_ringbuf_submit(e, 0);
  }
  return refused(t);
}

/* The workload of the template's child `id`; the template: not restricted; 0: refused. */
static __always_inline struct nw_workload* workload_below(struct nw_workload* t, __u64 id, enum nw_hook hook) {
  if (id == t->cgroup_id) return t;
  /* Another CPU may write an older policy into the row meanwhile, which must not be used any more. */
  for (__u32 i = 0; id && i < CHILD_TRIES; i++) {
    struct nw_workload* row = find_row(id);
    if (row && is_in_force(row, t)) return row;
    int error = settle_child(t, id);
    if (error == -ENOSPC || error == -EACCES) break;
  }
  return report_child(t, id, hook) ? t : 0;
}

/* The workload that the context's socket belongs to. 0: it has none, and is refused everything (counted). */
static __always_inline struct nw_workload* workload_of_socket(void* sk, enum nw_hook hook) {
  struct nw_workload* w = bpf_get_local_storage(&workloads, 0);
  if (!(w->flags & NW_FLAG_TEMPLATE)) return w;
  struct cgroup* c = cgroup_of(sk);
  if (!c) return workload_below(w, 0, hook);
  __u32 level = w->cgroup_level;
  return workload_below(w, level_of(c) == (int)level ? id_of(c) : ancestor_id(c, level + 1), hook);
}

static __always_inline struct nw_workload* workload_of_packet(struct __sk_buff* skb) {
  struct nw_workload* w = bpf_get_local_storage(&workloads, 0);
  if (!(w->flags & NW_FLAG_TEMPLATE)) return w;
  __u64 id = bpf_skb_ancestor_cgroup_id(skb, w->cgroup_level + 1);
  return workload_below(w, id ? id : bpf_skb_ancestor_cgroup_id(skb, w->cgroup_level), NW_HOOK_PACKET);
}

/* A process in the template's own cgroup. */
static __always_inline int is_unrestricted(const struct nw_workload* w) { return (w->flags & NW_FLAG_TEMPLATE) != 0; }

#endif
