/* Making and binding sockets. */
#ifndef NAMEWALL_BPF_SOCKET_BPF_H
#define NAMEWALL_BPF_SOCKET_BPF_H

#include "bpf/connect.bpf.h"

static __always_inline int is_known_socket(__u32 type, __u32 protocol) {
  if (type == SOCK_STREAM) return protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP_NUMBER;
  if (type == SOCK_DGRAM)
    return protocol == 0 || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
  return 0;
}

SEC("cgroup/sock_create")
int namewall_sock_create(struct bpf_sock* sk) {
  struct nw_workload* w = workload_of_socket(sk, NW_HOOK_SOCKET);
  if (!w || is_unrestricted(w)) return without_policy(w, -EPERM);
  if (w->mode != NW_MODE_DENY && is_known_socket(sk->type, sk->protocol)) return 1;
  struct refusal r = {.hook = NW_HOOK_SOCKET,
                      .reason = w->mode == NW_MODE_DENY ? NW_REASON_NOT_ARMED : NW_REASON_SOCKET_PROTOCOL,
                      .ip_protocol = (__u8)sk->protocol};
  describe_task(&r);
  report_refusal(w, &r);
  if (refused(w)) return 1;
  fail_with(r.reason == NW_REASON_NOT_ARMED || sk->type != SOCK_DGRAM ? -EPERM : -EPROTONOSUPPORT);
  return 0;
}

/* Whether a socket bound there could answer in the place of a trusted resolver. Of a resolver on this host the port
 * alone tells: a socket on another local address can send from the resolver's (IP_PKTINFO). */
__noinline int is_resolver_place(struct nw_workload* w, struct ip_address* at, __u32 port) {
  if (!w || !at) return 1;
  const __u32* address = at->address;
  __u32 resolver_count = w->resolver_count;
  for (__u32 i = 0; i < NW_MAX_RESOLVERS; i++) {
    if (i >= resolver_count) return 0;
    const struct nw_resolver* resolver = &w->resolvers[i];
    if (resolver->port != port) continue;
    if (same_address(resolver->address, address) || is_loopback(resolver->address)) return 1;
    struct ip_address own;
    __builtin_memcpy(own.address, resolver->address, sizeof(own.address));
    if (bpf_map_lookup_elem(&own_addresses, &own)) return 1;
  }
  return 0;
}

static __always_inline __u16 protocol_index(__u32 ip_protocol) {
  return ip_protocol == IPPROTO_UDP ? NW_PROTOCOL_UDP : NW_PROTOCOL_TCP;
}

static __always_inline int judge_bind(struct bpf_sock_addr* ctx, struct destination* d) {
  struct nw_workload* w = workload_of_socket(ctx->sk, NW_HOOK_BIND);
  if (!w || is_unrestricted(w)) return without_policy(w, -EACCES);
  __u16 port = bpf_ntohs((__u16)ctx->user_port);
  enum nw_reason reason = NW_REASON_NONE;
  d->key = port;
  d->ip_protocol = ctx->protocol == IPPROTO_MPTCP_NUMBER ? IPPROTO_TCP : ctx->protocol;
  if (w->mode == NW_MODE_DENY) {
    reason = NW_REASON_NOT_ARMED;
  } else if (port && (is_resolver_place(w, (struct ip_address*)d->address, port) ||
                      is_place_port(bpf_get_netns_cookie(ctx), port, protocol_index(d->ip_protocol)))) {
    reason = NW_REASON_BIND_RESOLVER;
  } else if (port && d->ip_protocol == IPPROTO_TCP) {
    /* Ingress keeps the outside away from what is bound for the workload's own use. */
    int own_use = (w->flags & (NW_FLAG_LOOPBACK_OWN | NW_FLAG_LOOPBACK_ANY)) && is_loopback(d->address);
    if (!own_use && !(bit_of(w, NW_PROTOCOL_TCP << 16 | port) & w->listen)) reason = NW_REASON_BIND_PORT;
  }
  if (!reason) return 1;
  struct refusal r = {.hook = NW_HOOK_BIND, .reason = reason, .port = port, .ip_protocol = d->ip_protocol};
  __builtin_memcpy(r.address, d->address, sizeof(r.address));
  describe_task(&r);
  report_refusal(w, &r);
  if (refused(w)) return 1;
  fail_with(-EACCES);
  return 0;
}

SEC("cgroup/bind4")
int namewall_bind4(struct bpf_sock_addr* ctx) {
  DESTINATION_V4(ctx);
  return judge_bind(ctx, &d);
}

SEC("cgroup/bind6")
int namewall_bind6(struct bpf_sock_addr* ctx) {
  DESTINATION_V6(ctx);
  return judge_bind(ctx, &d);
}

static __always_inline int after_bind(struct bpf_sock* sk) {
  struct nw_workload* w = workload_of_socket(sk, NW_HOOK_BIND);
  if (!w || is_unrestricted(w)) return without_policy(w, -EACCES);
  if ((w->flags & NW_FLAG_LOOPBACK_OWN) && !mark_own(w, sk)) count(w, NW_COUNTER_HELPER_FAILURES);
  /* The kernel chose the port, and the proxy does not hold its place just now. */
  __u16 port = (__u16)sk->src_port;
  if (!port || !is_place_port(bpf_get_netns_cookie(sk), port, protocol_index(sk->protocol))) return 1;
  struct refusal r = {
      .hook = NW_HOOK_BIND, .reason = NW_REASON_BIND_RESOLVER, .port = port, .ip_protocol = (__u8)sk->protocol};
  describe_task(&r);
  report_refusal(w, &r);
  if (refused(w)) return 1;
  fail_with(-EACCES);
  return 0;
}

SEC("cgroup/post_bind4")
int namewall_post_bind4(struct bpf_sock* sk) { return after_bind(sk); }

SEC("cgroup/post_bind6")
int namewall_post_bind6(struct bpf_sock* sk) { return after_bind(sk); }

#endif
