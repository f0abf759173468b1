/* The verdict on a destination, in the order of policy/verdict.h: host deny, deny rules, trusted resolver, loopback
 * rule, address rules, grants, refuse. The parts here need no context; the hooks join them. */
#ifndef NAMEWALL_BPF_VERDICT_BPF_H
#define NAMEWALL_BPF_VERDICT_BPF_H

#include "bpf/grants.bpf.h"

#define MAPPED_WORD bpf_htonl(0xffff)

static __always_inline int is_v4(const __u32* address) {
  return address[2] == MAPPED_WORD && address[0] == 0 && address[1] == 0;
}

/* 127.0.0.0/8, ::1, and the unspecified addresses, which the kernel takes for loopback. */
static __always_inline int is_loopback(const __u32* address) {
  if (address[0] || address[1]) return 0;
  if (address[2] == MAPPED_WORD) return (address[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000) || !address[3];
  return !address[2] && (address[3] == bpf_htonl(1) || !address[3]);
}

enum rules_say { RULES_NOTHING, RULES_ALLOW, RULES_OTHER_PORT, RULES_DENY, RULES_HOST_DENY };

/* 0: no rule names the address. */
static __always_inline struct nw_address_node* find_rules(const struct nw_workload* w, const struct destination* d) {
  struct nw_address_key key = {.policy_id = w->policy_id};
  if (is_v4(d->address)) {
    if (!(w->flags & NW_FLAG_ADDRESS_RULES_V4)) return 0;
    key.family = bpf_htonl(4);
  } else {
    if (!(w->flags & NW_FLAG_ADDRESS_RULES_V6)) return 0;
    key.family = bpf_htonl(6);
  }
  key.prefixlen = 32 + 32 + 128;
  __builtin_memcpy(key.address, d->address, sizeof(key.address));
  return bpf_map_lookup_elem(&address_rules, &key);
}

/* What the address rules say of the destination. */
__noinline int judge_by_rules(struct nw_workload* w, struct destination* d) {
  if (!w || !d) return RULES_HOST_DENY;
  struct nw_address_node* node = find_rules(w, d);
  if (!node) return RULES_NOTHING;
  if (node->host_deny & d->bit) return RULES_HOST_DENY;
  if (node->deny & d->bit) return RULES_DENY;
  if (node->allow & d->bit) return RULES_ALLOW;
  return node->allow & ~node->deny & ~node->host_deny & NW_PORT_BITS ? RULES_OTHER_PORT : RULES_NOTHING;
}

/* A keyed hash of an address and port, for comparing places. */
static __always_inline __u32 place_of(const struct nw_workload* w, const __u32* address, __u16 port) {
  __u64 hash = nw_mix(w->seed ^ port, ((__u64)address[0] << 32) | address[1]);
  return nw_mix(hash, ((__u64)address[2] << 32) | address[3]) >> 32;
}

static __always_inline int may_be_resolver_port(const struct nw_workload* w, __u16 port) {
  return port >= w->first_resolver_port && port <= w->last_resolver_port;
}

static __always_inline int has_address_rules(const struct nw_workload* w) {
  return w->flags & (NW_FLAG_ADDRESS_RULES_V4 | NW_FLAG_ADDRESS_RULES_V6);
}

__noinline int is_in_resolvers(struct nw_workload* w, struct ip_address* at, __u32 port) {
  if (!w || !at) return 0;
  const __u32* address = at->address;
  __u32 resolver_count = w->resolver_count;
  for (__u32 i = 0; i < NW_MAX_RESOLVERS; i++) {
    if (i >= resolver_count) return 0;
    const struct nw_resolver* resolver = &w->resolvers[i];
    if (resolver->port == port && same_address(resolver->address, address)) return 1;
  }
  return 0;
}

/* Whether a trusted resolver is at this address and port. */
static __always_inline int is_resolver(struct nw_workload* w, struct ip_address* at, __u16 port) {
  return may_be_resolver_port(w, port) && is_in_resolvers(w, at, port);
}

/* Rules and grants alone: for packets, whose loopback and resolver cases are decided before. 1: allowed. */
static __always_inline int is_allowed(struct nw_workload* w, struct destination* d) {
  d->bit = bit_of(w, d->key);
  if (has_address_rules(w)) {
    int rules = judge_by_rules(w, d);
    if (rules == RULES_ALLOW) return 1;
    if (rules == RULES_DENY || rules == RULES_HOST_DENY) return 0;
  }
  return find_grant(w, d) == GRANT_MATCH;
}

/* Of a destination that is_allowed() did not allow. */
static __always_inline int is_denied(struct nw_workload* w, struct destination* d) {
  if (!has_address_rules(w)) return 0;
  int rules = judge_by_rules(w, d);
  return rules == RULES_DENY || rules == RULES_HOST_DENY;
}

/* Whether the address of a destination that rules deny on its port is open on another one. */
__noinline int is_open_otherwise(struct nw_workload* w, struct destination* d) {
  if (!w || !d) return 0;
  struct nw_address_node* node = find_rules(w, d);
  if (!node) return 0;
  __u64 left = ~(node->deny | node->host_deny) & NW_PORT_BITS;
  if (node->allow & left) return 1;
  struct destination any = *d;
  any.bit = left;
  any.now = bpf_ktime_get_boot_ns();
  any.since = any.now;
  return find_grant(w, &any) == GRANT_MATCH;
}

#endif
