/* The places of the DNS proxy: which loopback ports they are, and for which resolver each stands. */
#ifndef NAMEWALL_BPF_PROXY_BPF_H
#define NAMEWALL_BPF_PROXY_BPF_H

#include "bpf/verdict.bpf.h"

#define LOOPBACK_V4 bpf_htonl(0x7f000001)

/* 127.0.0.1 and ::1, and what connect() takes for them. */
static __always_inline int may_be_place(const __u32* address) {
  if (address[0] || address[1]) return 0;
  if (address[2] == MAPPED_WORD) return address[3] == LOOPBACK_V4 || !address[3];
  return !address[2] && (address[3] == bpf_htonl(1) || !address[3]);
}

/* The resolver of the place at this port; 0: it is none. */
static __always_inline struct nw_resolver* resolver_of_port(__u64 netns_cookie, __u16 port, __u16 family,
                                                            __u16 protocol) {
  struct nw_proxy_port_key key = {.netns_cookie = netns_cookie, .port = port, .family = family, .protocol = protocol};
  return bpf_map_lookup_elem(&proxy_resolvers, &key);
}

static __always_inline struct nw_resolver* resolver_of_place(__u64 netns_cookie, const __u32* address, __u16 port,
                                                             __u16 protocol) {
  return resolver_of_port(netns_cookie, port, is_v4(address) ? 4 : 6, protocol);
}

/* Whether a socket at this port could stand in for the proxy: whatever its address, it can send from another one. */
static __always_inline int is_place_port(__u64 netns_cookie, __u16 port, __u16 protocol) {
  return resolver_of_port(netns_cookie, port, 4, protocol) || resolver_of_port(netns_cookie, port, 6, protocol);
}

static __always_inline int trusts(struct nw_workload* w, struct nw_resolver* resolver) {
  return is_resolver(w, (struct ip_address*)resolver->address, resolver->port);
}

#endif
