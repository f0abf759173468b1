/* A guard: processes in cgroups below the guarded one make no sockets until somebody has armed the cgroup, or one
 * between. It has no policy, and nothing to do with sockets that exist. */
#ifndef NAMEWALL_BPF_GUARD_BPF_H
#define NAMEWALL_BPF_GUARD_BPF_H

#include "bpf/children.bpf.h"
#include "bpf/connect.bpf.h"

static __always_inline int is_armed(__u64 id) { return bpf_map_lookup_elem(&armed_cgroups, &id) != 0 || find_row(id); }

/* Whether the cgroup is the guarded one, or one on the way up to it is armed. Deeper than CGROUP_LEVELS: no. */
static __always_inline int may_make_sockets(const struct nw_guard* guard, struct cgroup* c) {
  for (int i = 0; c && i < CGROUP_LEVELS; i++) {
    __u64 id = id_of(c);
    if (id == guard->cgroup_id) return i == 0;
    if (level_of(c) <= (int)guard->level) return 0;
    if (is_armed(id)) return 1;
    c = parent_of(c);
  }
  return 0;
}

/* At most one event a second: whoever is refused can try again without end. */
static __always_inline void report_unarmed(struct nw_guard* guard, struct bpf_sock* sk, __u64 id) {
  __sync_fetch_and_add(&guard->refused, 1);
  __u64 now = bpf_ktime_get_boot_ns(), next = guard->next_event;
  if (now < next || __sync_val_compare_and_swap(&guard->next_event, next, now + SECOND) != next) return;
  struct nw_event* e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
  if (!e) return;
  struct refusal r = {.hook = NW_HOOK_SOCKET, .reason = NW_REASON_UNARMED_CHILD, .ip_protocol = (__u8)sk->protocol};
  describe_task(&r);
  describe_event(e, &r, now);
  e->cgroup_id = id;
  e->left_out = 0;
  e->workload_id = 0;
  e->generation = 0;
  e->audit = 0;
  bpf_ringbuf_submit(e, 0);
}

SEC("cgroup/sock_create")
int namewall_guard(struct bpf_sock* sk) {
  struct nw_guard* guard = bpf_get_local_storage(&guards, 0);
  struct cgroup* c = cgroup_of(sk);
  if (guard->is_set && may_make_sockets(guard, c)) return 1;
  report_unarmed(guard, sk, c ? id_of(c) : 0);
  fail_with(-EPERM);
  return 0;
}

/* As namewall_prepare, for the guard's storage. */
SEC("cgroup/sock_create")
int namewall_prepare_guard(struct bpf_sock* sk) {
  struct nw_guard* guard = bpf_get_local_storage(&guards, 0);
  return guard != 0;
}

#endif
