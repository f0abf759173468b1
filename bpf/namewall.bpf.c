/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The programs that hold a cgroup to its policy. One object, because they share their maps; a file for each concept:
 *   connect    connect4/6, sendmsg4/6      socket   sock_create, bind4/6, post_bind4/6
 *   egress     packets out, questions      ingress  packets in, answers, inbound
 *   restore    recvmsg4/6, getpeername4/6
 *   guard      sock_create where unarmed children are refused
 *   reap       removes expired names, run by user space
 *   teach      puts what user space learned into the tables, run by it
 * The bulk is in global functions: the verifier checks each once (as static ones they exceed its limits). */
#include "bpf/guard.bpf.h"
#include "bpf/ingress.bpf.h"
#include "bpf/restore.bpf.h"
#include "bpf/socket.bpf.h"
#include "bpf/teach.bpf.h"

/* Run by BPF_PROG_TEST_RUN: mark = slot, priority = limit, cb[0] = seconds that expired names are kept; returns how
 * many went. A packet program, because its test run holds bottom halves off: as a syscall program it would be
 * interrupted by the learners of its own CPU between mark and delete, and they would wait in vain. */
SEC("tc")
int namewall_reap(struct __sk_buff* skb) {
  __u64 now = bpf_ktime_get_boot_ns(), keep = (__u64)skb->cb[0] * SECOND;
  return reap_names(skb->mark, now > keep ? now - keep : 0, skb->priority);
}

/* Attached for a moment while a cgroup is armed: the cgroup's storage can be written once a program that uses it is
 * attached, and the real programs must find it written. */
SEC("cgroup/sock_create")
int namewall_prepare(struct bpf_sock* sk) {
  struct nw_workload* w = bpf_get_local_storage(&workloads, 0);
  return w != 0;
}

char LICENSE[] SEC("license") = "GPL";
