/* The few fields that are read of the kernel's own structures, found by CO-RE. */
#ifndef NAMEWALL_BPF_KERNEL_TYPES_BPF_H
#define NAMEWALL_BPF_KERNEL_TYPES_BPF_H

#include <bpf/bpf_core_read.h>

#include "bpf/kernel.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct user_namespace {
  int level;
};
struct net {
  struct user_namespace* user_ns;
  __u64 net_cookie;
};
typedef struct {
  struct net* net;
} possible_net_t;
struct sock_common {
  possible_net_t skc_net;
};
struct kernfs_node {
  __u64 id;
};
struct cgroup;
struct cgroup_subsys_state {
  struct cgroup* cgroup;
  struct cgroup_subsys_state* parent;
};
struct cgroup {
  struct cgroup_subsys_state self;
  int level;
  struct kernfs_node* kn;
};
struct sock_cgroup_data {
  struct cgroup* cgroup;
};
struct sock {
  struct sock_common __sk_common;
  struct sock_cgroup_data sk_cgrp_data;
};
#pragma clang attribute pop

/* Linux 6.2; before, its address is 0. */
extern void* bpf_rdonly_cast(const void* object, __u32 btf_id) __ksym __weak;

#endif
