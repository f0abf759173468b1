/* What a socket may be trusted with: the DNS of its network namespace, and being the workload's own. */
#ifndef NAMEWALL_BPF_SOCKET_TRUST_BPF_H
#define NAMEWALL_BPF_SOCKET_TRUST_BPF_H

#include "bpf/socket_cgroup.bpf.h"
#include "bpf/verdict.bpf.h"

static __always_inline int is_listed_netns(const struct nw_workload* w, __u64 cookie) {
  for (__u32 i = 0; i < NW_MAX_NETNS; i++)
    if (cookie && w->trusted_netns[i] == cookie) return 1;
  return 0;
}

/* Whether the answers that arrive in the socket's network namespace may teach. A process that makes its own user and
 * network namespaces (no privilege needed) answers its own questions there, by a tun device or by address translation,
 * and would teach itself any address for an allowed name. So only namespaces count that were named when arming, or
 * that belong to the initial user namespace: making and configuring those needs a capability of the host (Linux 6.2;
 * before, only the named ones). */
static __always_inline int is_trusted_netns(const struct nw_workload* w, struct bpf_sock_addr* ctx,
                                            struct bpf_sock* sk) {
  if (is_listed_netns(w, bpf_get_netns_cookie(ctx))) return 1;
  if (!bpf_rdonly_cast) return 0;
  struct sock* kernel_sock = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct sock));
  struct net* net = kernel_sock->__sk_common.skc_net.net;
  if (!net || !net->user_ns) return 0;
  return net->user_ns->level == 0;
}

/* Marks the socket as one of the workload's own: loopback rules ask for the mark of the socket at the other end. */
static __always_inline struct socket_state* mark_own(const struct nw_workload* w, struct bpf_sock* sk) {
  struct socket_state* state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (state) state->workload_id = w->workload_id;
  return state;
}

#endif
