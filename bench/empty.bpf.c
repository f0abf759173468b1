// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* The empty program set: the hooks that namewall attaches, each with a program that allows. What it costs is the price
 * of having any program there. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ALLOW(name, section) \
  SEC(section) int name(void *context) { return 1; }

ALLOW(empty_connect4, "cgroup/connect4")
ALLOW(empty_connect6, "cgroup/connect6")
ALLOW(empty_sendmsg4, "cgroup/sendmsg4")
ALLOW(empty_sendmsg6, "cgroup/sendmsg6")
ALLOW(empty_bind4, "cgroup/bind4")
ALLOW(empty_bind6, "cgroup/bind6")
ALLOW(empty_post_bind4, "cgroup/post_bind4")
ALLOW(empty_post_bind6, "cgroup/post_bind6")
ALLOW(empty_sock_create, "cgroup/sock_create")
ALLOW(empty_egress, "cgroup_skb/egress")
ALLOW(empty_ingress, "cgroup_skb/ingress")

char LICENSE[] SEC("license") = "Dual BSD/GPL";
