/* connect and sendmsg: the destination that the program asked for is judged here, and gets its errno here. */
#ifndef NAMEWALL_BPF_CONNECT_BPF_H
#define NAMEWALL_BPF_CONNECT_BPF_H

#include "bpf/children.bpf.h"
#include "bpf/peers.bpf.h"
#include "bpf/proxy.bpf.h"
#include "bpf/socket_trust.bpf.h"

static __always_inline void describe_task(struct refusal* r) {
  r->pid = bpf_get_current_pid_tgid() >> 32;
  r->uid = (__u32)bpf_get_current_uid_gid();
  bpf_get_current_comm(r->command, sizeof(r->command));
}

static __always_inline int refuse_destination(struct nw_workload* w, struct bpf_sock_addr* ctx, struct destination* d,
                                              enum nw_hook hook, enum nw_reason reason) {
  struct refusal r = {.hook = hook,
                      .reason = reason,
                      .port = (__u16)d->key,
                      .ip_protocol = d->ip_protocol,
                      .name_id = d->name_id,
                      .expired_for = d->expired_for,
                      .netns_cookie = bpf_get_netns_cookie(ctx)};
  __builtin_memcpy(r.address, d->address, sizeof(r.address));
  describe_task(&r);
  report_refusal(w, &r);
  if (refused(w)) return 1;
  fail_with(-ECONNREFUSED);
  return 0;
}

/* The socket goes to a trusted resolver: its datagrams are questions from now on. */
static __always_inline enum nw_reason mark_dns(struct nw_workload* w, struct bpf_sock_addr* ctx, struct bpf_sock* sk,
                                               struct destination* d) {
  struct socket_state* state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!state) return NW_REASON_QUESTION_NO_SLOT;
  if (!(state->flags & SOCKET_NETNS_TRUSTED)) {
    if (!is_trusted_netns(w, ctx, sk)) return NW_REASON_UNTRUSTED_NETNS;
    state->flags |= SOCKET_NETNS_TRUSTED;
  }
  /* Connected elsewhere before there was a policy. The hooks hold the socket's lock. */
  struct destination peer = {};
  if (socket_destination(sk, &peer) && !is_resolver(w, (struct ip_address*)peer.address, (__u16)peer.key) &&
      !(may_be_place(peer.address) &&
        resolver_of_place(bpf_get_netns_cookie(ctx), peer.address, (__u16)peer.key, NW_PROTOCOL_UDP)))
    state->flags |= SOCKET_ORDINARY;
  state->flags |= SOCKET_DNS;
  state->pid = bpf_get_current_pid_tgid() >> 32;
  state->uid = (__u32)bpf_get_current_uid_gid();
  bpf_get_current_comm(state->command, sizeof(state->command));
  __builtin_memcpy(state->resolver.address, d->address, sizeof(d->address));
  state->resolver.port = (__u16)d->key;
  state->resolver_place = place_of(w, d->address, (__u16)d->key);
  return NW_REASON_NONE;
}

/* Whether the socket that would receive there is one of the workload's own. */
static __always_inline int is_own_listener(const struct nw_workload* w, struct bpf_sock_addr* ctx,
                                           struct destination* d) {
  struct bpf_sock_tuple tuple = {};
  __u32 size;
  __u16 port_be = bpf_htons((__u16)d->key);
  if (is_v4(d->address)) {
    __u32 address = d->address[3] ? d->address[3] : bpf_htonl(0x7f000001);
    tuple.ipv4.saddr = address;
    tuple.ipv4.daddr = address;
    tuple.ipv4.dport = port_be;
    size = sizeof(tuple.ipv4);
  } else {
    tuple.ipv6.saddr[3] = bpf_htonl(1);
    tuple.ipv6.daddr[3] = bpf_htonl(1);
    tuple.ipv6.dport = port_be;
    size = sizeof(tuple.ipv6);
  }
  struct bpf_sock* listener;
  if (d->key >> 16 == NW_PROTOCOL_TCP)
    listener = bpf_sk_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
  else
    listener = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
  if (!listener) return 0;
  struct socket_state* state = bpf_sk_storage_get(&sockets, listener, 0, 0);
  int own = state && state->workload_id == w->workload_id;
  bpf_sk_release(listener);
  return own;
}

/* The UDP socket goes where no resolver is. Its packets are judged too where they can go elsewhere than what was judged
 * here: to loopback, where another socket may have taken the place by then; and when it is connected again, for a send
 * reads the address and the port without the socket's lock, and may get half of each. */
static __always_inline int mark_ordinary(struct bpf_sock* sk, const struct destination* d, enum nw_hook hook) {
  struct socket_state* state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!state) return 0;
  __u32 flags = state->flags | SOCKET_ORDINARY;
  if (hook == NW_HOOK_CONNECT) flags |= flags & SOCKET_CONNECTED ? SOCKET_EACH_PACKET : SOCKET_CONNECTED;
  if (is_loopback(d->address)) flags |= SOCKET_EACH_PACKET;
  if (flags != state->flags) state->flags = flags;
  return 1;
}

/* The socket goes to the proxy's place instead. */
static __always_inline void redirect(struct bpf_sock_addr* ctx, const struct destination* d, __u16 port, int is_v6) {
  ctx->user_port = bpf_htons(port);
  if (!is_v6) {
    ctx->user_ip4 = LOOPBACK_V4;
  } else if (is_v4(d->address)) {
    ctx->user_ip6[3] = LOOPBACK_V4;
  } else {
    ctx->user_ip6[0] = 0;
    ctx->user_ip6[1] = 0;
    ctx->user_ip6[2] = 0;
    ctx->user_ip6[3] = bpf_htonl(1);
  }
}

/* A trusted resolver: over UDP its questions are read by the packet hooks or, as over TCP always, by the proxy.
 * `at_place`: the program, or a workload below, goes to the proxy already. */
static __always_inline int judge_resolver(struct bpf_sock_addr* ctx, struct nw_workload* w, struct bpf_sock* sk,
                                          struct destination* d, enum nw_hook hook, int at_place, int is_v6) {
  int over_tcp = d->ip_protocol == IPPROTO_TCP;
  enum nw_reason reason = NW_REASON_NONE;
  if (!over_tcp)
    reason = mark_dns(w, ctx, sk, d);
  else if (!is_trusted_netns(w, ctx, sk))
    reason = NW_REASON_UNTRUSTED_NETNS;
  if (reason) return refuse_destination(w, ctx, d, hook, reason);
  if (at_place || !(over_tcp || (w->flags & NW_FLAG_PROXY))) return 1;
  if (sk->bound_dev_if) return refuse_destination(w, ctx, d, hook, NW_REASON_BOUND_TO_DEVICE);
  struct nw_proxy_key key = {
      .netns_cookie = bpf_get_netns_cookie(ctx), .port = (__u16)d->key, .protocol = (__u16)(d->key >> 16)};
  __builtin_memcpy(key.address, d->address, sizeof(key.address));
  __u32* port = bpf_map_lookup_elem(&proxy_ports, &key);
  if (!port) return refuse_destination(w, ctx, d, hook, NW_REASON_NO_PROXY_IN_NETNS);
  redirect(ctx, d, (__u16)*port, is_v6);
  return 1;
}

/* glibc connects UDP sockets to sort addresses (RFC 6724), whatever port it will go to: what such a socket sends is
 * judged packet by packet. */
static __always_inline int judge_each_packet(struct bpf_sock* sk) {
  struct socket_state* state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!state) return 0;
  state->flags |= SOCKET_JUDGE_EACH;
  return 1;
}

/* Where the host denies UDP, every lookup would end in refused connects otherwise. Questions are not judged by address
 * packet by packet: a denied resolver is refused here. */
static __always_inline int may_connect_to_sort(struct nw_workload* w, struct bpf_sock* sk, struct destination* d,
                                               enum nw_hook hook) {
  if (hook != NW_HOOK_CONNECT || d->ip_protocol != IPPROTO_UDP || is_loopback(d->address)) return 0;
  if (is_resolver(w, (struct ip_address*)d->address, (__u16)d->key) || !is_open_otherwise(w, d)) return 0;
  return judge_each_packet(sk);
}

static __always_inline int judge_any_destination(struct bpf_sock_addr* ctx, struct nw_workload* w, struct bpf_sock* sk,
                                                 struct destination* d, enum nw_hook hook, int is_v6) {
  __u16 port = bpf_ntohs((__u16)ctx->user_port);
  __u32 protocol = ctx->protocol;
  d->ip_protocol = protocol == IPPROTO_MPTCP_NUMBER ? IPPROTO_TCP : protocol;
  d->key = port;
  if (w->mode == NW_MODE_DENY || !sk) return refuse_destination(w, ctx, d, hook, NW_REASON_NOT_ARMED);
  if (d->ip_protocol == IPPROTO_TCP)
    d->key = NW_PROTOCOL_TCP << 16 | port;
  else if (d->ip_protocol == IPPROTO_UDP)
    d->key = NW_PROTOCOL_UDP << 16 | port;
  else if (d->ip_protocol == IPPROTO_ICMP || d->ip_protocol == IPPROTO_ICMPV6)
    d->key = NW_PROTOCOL_ICMP << 16; /* a ping socket's port is its id */
  else
    return refuse_destination(w, ctx, d, hook, NW_REASON_SOCKET_PROTOCOL);

  /* A place of the proxy is judged as the resolver that it stands for. */
  struct nw_resolver* behind = 0;
  if (may_be_place(d->address) && d->key >> 16 != NW_PROTOCOL_ICMP)
    behind = resolver_of_place(bpf_get_netns_cookie(ctx), d->address, port, (__u16)(d->key >> 16));
  if (behind) {
    port = behind->port;
    d->key = (d->key & 0xffff0000) | port;
    __builtin_memcpy(d->address, behind->address, sizeof(d->address));
  }

  d->bit = bit_of(w, d->key);
  int rules = has_address_rules(w) ? judge_by_rules(w, d) : RULES_NOTHING;
  if (rules == RULES_HOST_DENY) {
    if (!behind && may_connect_to_sort(w, sk, d, hook)) return 1;
    return refuse_destination(w, ctx, d, hook, NW_REASON_HOST_DENY);
  }
  if (rules == RULES_DENY) return refuse_destination(w, ctx, d, hook, NW_REASON_DENY_RULE);

  if (is_resolver(w, (struct ip_address*)d->address, port) && d->key >> 16 != NW_PROTOCOL_ICMP)
    return judge_resolver(ctx, w, sk, d, hook, behind != 0, is_v6);
  if (behind) return refuse_destination(w, ctx, d, hook, NW_REASON_UNTRUSTED_RESOLVER);
  if (is_loopback(d->address)) {
    if (w->flags & NW_FLAG_LOOPBACK_ANY) return 1;
    if (w->flags & NW_FLAG_LOOPBACK_OWN) {
      if (d->key >> 16 == NW_PROTOCOL_ICMP) return 1;
      if (is_own_listener(w, ctx, d)) {
        if (d->ip_protocol == IPPROTO_UDP) mark_own(w, sk); /* so that it may be answered by a connected socket */
        return 1;
      }
    }
  }
  if (rules == RULES_ALLOW) return 1;

  d->now = bpf_ktime_get_boot_ns();
  d->since = d->now;
  if (is_loopback(d->address)) { /* names never open it */
    if (d->ip_protocol == IPPROTO_UDP && may_answer(sk, d)) return 1;
    return refuse_destination(w, ctx, d, hook, NW_REASON_LOOPBACK);
  }
  enum grant_match match = find_grant(w, d);
  if (match == GRANT_MATCH) return 1;
  if (hook == NW_HOOK_CONNECT && d->ip_protocol == IPPROTO_UDP &&
      (match == GRANT_OTHER_PORT || rules == RULES_OTHER_PORT) && judge_each_packet(sk))
    return 1;
  if (d->ip_protocol == IPPROTO_UDP && may_answer(sk, d)) return 1;
  enum nw_reason reason = why_not_granted(w, d);
  if (reason == NW_REASON_NOT_LOOKED_UP && rules == RULES_OTHER_PORT)
    reason = NW_REASON_PORT;
  else if (reason == NW_REASON_NOT_LOOKED_UP && port == DNS_PORT && d->key >> 16 != NW_PROTOCOL_ICMP)
    reason = NW_REASON_UNTRUSTED_RESOLVER;
  return refuse_destination(w, ctx, d, hook, reason);
}

static __always_inline int judge_destination(struct bpf_sock_addr* ctx, struct nw_workload* w, struct destination* d,
                                             enum nw_hook hook, int is_v6) {
  struct bpf_sock* sk = ctx->sk;
  if (!judge_any_destination(ctx, w, sk, d, hook, is_v6)) return 0;
  if (d->ip_protocol != IPPROTO_UDP || !sk || is_resolver(w, (struct ip_address*)d->address, (__u16)d->key)) return 1;
  return mark_ordinary(sk, d, hook) || refuse_destination(w, ctx, d, hook, NW_REASON_QUESTION_NO_SLOT);
}

#define DESTINATION_V4(ctx) struct destination d = {.address = {0, 0, MAPPED_WORD, (ctx)->user_ip4}}
#define DESTINATION_V6(ctx) \
  struct destination d = {.address = {(ctx)->user_ip6[0], (ctx)->user_ip6[1], (ctx)->user_ip6[2], (ctx)->user_ip6[3]}}

/* The kernel would take the unspecified address for the one that the socket is bound to, or for one of its device: it
 * shall be the loopback address that was judged. */
static __always_inline int settle_v4(struct bpf_sock_addr* ctx, int verdict) {
  if (!ctx->user_ip4) ctx->user_ip4 = LOOPBACK_V4;
  return verdict;
}

static __always_inline int settle_v6(struct bpf_sock_addr* ctx, int verdict) {
  DESTINATION_V6(ctx); /* as it is by now */
  if (is_v4(d.address) && !d.address[3])
    ctx->user_ip6[3] = LOOPBACK_V4;
  else if (!(d.address[0] | d.address[1] | d.address[2] | d.address[3]))
    ctx->user_ip6[3] = bpf_htonl(1);
  return verdict;
}

/* What a socket call gets that no workload's policy judges: nothing is known of the child, or nothing restricts it. */
static __always_inline int without_policy(const struct nw_workload* w, int error) {
  if (w) return 1;
  fail_with(error);
  return 0;
}

static __always_inline int judge_v4(struct bpf_sock_addr* ctx, enum nw_hook hook) {
  struct nw_workload* w = workload_of_socket(ctx->sk, hook);
  if (!w || is_unrestricted(w)) return without_policy(w, -ECONNREFUSED);
  DESTINATION_V4(ctx);
  return settle_v4(ctx, judge_destination(ctx, w, &d, hook, 0));
}

static __always_inline int judge_v6(struct bpf_sock_addr* ctx, enum nw_hook hook) {
  struct nw_workload* w = workload_of_socket(ctx->sk, hook);
  if (!w || is_unrestricted(w)) return without_policy(w, -ECONNREFUSED);
  DESTINATION_V6(ctx);
  return settle_v6(ctx, judge_destination(ctx, w, &d, hook, 1));
}

SEC("cgroup/connect4")
int namewall_connect4(struct bpf_sock_addr* ctx) { return judge_v4(ctx, NW_HOOK_CONNECT); }

SEC("cgroup/connect6")
int namewall_connect6(struct bpf_sock_addr* ctx) { return judge_v6(ctx, NW_HOOK_CONNECT); }

/* A connected socket that sends with ancillary data (QUIC) comes here without a destination: connect judged it, and
 * egress judges its packets where connect said so. */
SEC("cgroup/sendmsg4")
int namewall_sendmsg4(struct bpf_sock_addr* ctx) {
  struct bpf_sock* sk = ctx->sk;
  if (!ctx->user_ip4 && !ctx->user_port && sk && sk->dst_port) return 1;
  return judge_v4(ctx, NW_HOOK_SEND);
}

SEC("cgroup/sendmsg6")
int namewall_sendmsg6(struct bpf_sock_addr* ctx) {
  DESTINATION_V6(ctx);
  struct bpf_sock* sk = ctx->sk;
  if (!ctx->user_port && !(d.address[0] | d.address[1] | d.address[2] | d.address[3]) && sk && sk->dst_port) return 1;
  return judge_v6(ctx, NW_HOOK_SEND);
}

#endif
