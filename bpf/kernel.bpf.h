/* Constants of the kernel that its clean UAPI headers lack or hide behind libc. */
#ifndef NAMEWALL_BPF_KERNEL_BPF_H
#define NAMEWALL_BPF_KERNEL_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
/* after bpf.h */
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SECOND 1000000000ULL

#define EPERM 1
#define ENOENT 2
#define E2BIG 7
#define EACCES 13
#define EEXIST 17
#define ENOSPC 28
#define EPROTONOSUPPORT 93
#define ECONNREFUSED 111

#define DNS_PORT 53
#define AF_INET_NUMBER 2
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define IPPROTO_ICMPV6 58
#define IPPROTO_MPTCP_NUMBER 262

#define ICMP_ECHO_REQUEST 8           /* RFC 792 */
#define ICMP_EXTENDED_ECHO_REQUEST 42 /* RFC 8335 */
#define ICMPV6_ECHO_REQUEST_TYPE 128  /* RFC 4443 */
#define ICMPV6_EXTENDED_ECHO_REQUEST 160
#define NDP_FIRST 133 /* RFC 4861: router solicitation to neighbour advertisement; a redirect (137) is a router's */
#define NDP_LAST 136

#endif
