/* Gives programs back the resolver's address where the kernel would show them the proxy's place. */
#ifndef NAMEWALL_BPF_RESTORE_BPF_H
#define NAMEWALL_BPF_RESTORE_BPF_H

#include "bpf/proxy.bpf.h"

static __always_inline __u16 protocol_of_context(struct bpf_sock_addr* ctx) {
  return ctx->protocol == IPPROTO_UDP ? NW_PROTOCOL_UDP : NW_PROTOCOL_TCP;
}

static __always_inline int restore_v4(struct bpf_sock_addr* ctx) {
  if (ctx->user_ip4 != LOOPBACK_V4) return 1;
  __u16 port = bpf_ntohs((__u16)ctx->user_port);
  struct nw_resolver* resolver = resolver_of_port(bpf_get_netns_cookie(ctx), port, 4, protocol_of_context(ctx));
  if (!resolver) return 1;
  ctx->user_ip4 = resolver->address[3];
  ctx->user_port = bpf_htons(resolver->port);
  return 1;
}

static __always_inline int restore_v6(struct bpf_sock_addr* ctx) {
  __u32 address[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
  if (!may_be_place(address)) return 1;
  __u16 port = bpf_ntohs((__u16)ctx->user_port);
  struct nw_resolver* resolver = resolver_of_place(bpf_get_netns_cookie(ctx), address, port, protocol_of_context(ctx));
  if (!resolver) return 1;
  ctx->user_ip6[0] = resolver->address[0];
  ctx->user_ip6[1] = resolver->address[1];
  ctx->user_ip6[2] = resolver->address[2];
  ctx->user_ip6[3] = resolver->address[3];
  ctx->user_port = bpf_htons(resolver->port);
  return 1;
}

SEC("cgroup/recvmsg4")
int namewall_recvmsg4(struct bpf_sock_addr* ctx) { return restore_v4(ctx); }

SEC("cgroup/recvmsg6")
int namewall_recvmsg6(struct bpf_sock_addr* ctx) { return restore_v6(ctx); }

SEC("cgroup/getpeername4")
int namewall_getpeername4(struct bpf_sock_addr* ctx) { return restore_v4(ctx); }

SEC("cgroup/getpeername6")
int namewall_getpeername6(struct bpf_sock_addr* ctx) { return restore_v6(ctx); }

#endif
