/* The cgroup that a socket was made in. It decides whose the socket is, not the current task's, which is another one
 * for sockets that were passed on, for kernel threads that act for somebody (SQPOLL) and for MPTCP's subflows.
 *
 * Linux 6.2 reads the kernel's structures by a cast; before, it takes a helper call for each field. */
#ifndef NAMEWALL_BPF_SOCKET_CGROUP_BPF_H
#define NAMEWALL_BPF_SOCKET_CGROUP_BPF_H

#include "bpf/kernel_types.bpf.h"

#define CGROUP_LEVELS 32 /* that are walked upwards */

/* The verifier allows no address inside a socket: its pointer is read back as a number. */
static __always_inline struct sock* as_number(void* sk) {
  void* pointer = sk;
  struct sock* number = 0;
  bpf_probe_read_kernel(&number, sizeof(number), &pointer);
  return number;
}

/* `sk`: a socket's context or its pointer in one. */
static __always_inline struct cgroup* cgroup_of(void* sk) {
  if (bpf_rdonly_cast) {
    struct sock* kernel_sock = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct sock));
    return kernel_sock->sk_cgrp_data.cgroup;
  }
  struct sock* number = as_number(sk);
  return BPF_CORE_READ(number, sk_cgrp_data.cgroup);
}

/* Of the packet's socket; 0: it has none. The helper bpf_get_netns_cookie is for socket programs alone before 6.16. */
static __always_inline __u64 netns_cookie_of(struct __sk_buff* skb) {
  struct bpf_sock* sk = skb->sk;
  if (!sk) return 0;
  if (bpf_rdonly_cast) {
    struct sock* kernel_sock = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct sock));
    struct net* net = kernel_sock->__sk_common.skc_net.net;
    return net ? net->net_cookie : 0;
  }
  struct sock* number = as_number(sk);
  return BPF_CORE_READ(number, __sk_common.skc_net.net, net_cookie);
}

static __always_inline int level_of(struct cgroup* c) { return bpf_rdonly_cast ? c->level : BPF_CORE_READ(c, level); }

static __always_inline __u64 id_of(struct cgroup* c) { return bpf_rdonly_cast ? c->kn->id : BPF_CORE_READ(c, kn, id); }

static __always_inline struct cgroup* parent_of(struct cgroup* c) {
  return bpf_rdonly_cast ? c->self.parent->cgroup : BPF_CORE_READ(c, self.parent, cgroup);
}

/* The id of the cgroup at `level` on the way up from `c`; 0: `c` is above it, or more than CGROUP_LEVELS below. */
static __always_inline __u64 ancestor_id(struct cgroup* c, int level) {
  int up = level_of(c) - level;
  for (int i = 0; i < CGROUP_LEVELS; i++) {
    if (i == up) return id_of(c);
    c = parent_of(c);
    if (!c) return 0;
  }
  return 0;
}

#endif
