/* Packets out. A clean workload's packets are checked by their headers only: connect and sendmsg judged the
 * destination, so translation beneath us keeps working. DNS questions, pings, sockets that connect marked, and all
 * packets of a strict workload are looked up. */
#ifndef NAMEWALL_BPF_EGRESS_BPF_H
#define NAMEWALL_BPF_EGRESS_BPF_H

#include "bpf/children.bpf.h"
#include "bpf/proxied.bpf.h"

/* Of the place that the packet goes to, or comes from; 0: none is there. */
static __always_inline struct nw_resolver* resolver_of_packet(struct __sk_buff* skb, struct packet* p) {
  if (!may_be_place(p->address)) return 0;
  __u16 protocol = p->protocol == IPPROTO_UDP ? NW_PROTOCOL_UDP : NW_PROTOCOL_TCP;
  return resolver_of_place(netns_cookie_of(skb), p->address, p->port, protocol);
}

/* A packet of a socket that may be older than the policy. A flow is judged by the socket's own destination, by rules
 * and by every grant that is remembered: expiry does not end it. */
static __always_inline int judge_old_socket(struct nw_workload* w, struct __sk_buff* skb, struct packet* p,
                                            struct bpf_sock* sk) {
  struct destination d = {.ip_protocol = p->protocol, .since = NW_DEADLINE_DEAD};
  if (p->protocol == IPPROTO_TCP) {
    d.key = NW_PROTOCOL_TCP << 16;
    if (sk->state == BPF_TCP_LISTEN) return 1; /* SYN-ACK: ingress judged the SYN */
    if (bit_of(w, NW_PROTOCOL_TCP << 16 | (sk->src_port & 0xffff)) & w->listen) return 1;
  } else {
    d.key = NW_PROTOCOL_UDP << 16;
  }
  /* Unconnected: sendmsg judged the datagram. */
  if (!socket_destination(sk, &d)) return p->protocol == IPPROTO_UDP;
  if (is_loopback(d.address)) {
    struct nw_resolver* resolver = resolver_of_packet(skb, p);
    if (resolver)
      return trusts(w, resolver) || refuse_packet(skb, w, p, 0, NW_HOOK_PACKET, NW_REASON_PACKET_OLD_SOCKET);
    if (w->flags & NW_FLAG_LOOPBACK_ANY) return 1;
    struct local_end local = {};
    read_local(skb, &local, p->transport, 1);
    if ((w->flags & NW_FLAG_LOOPBACK_OWN) && is_own_peer(w, skb, d.address, (__u16)d.key, &local, p->protocol))
      return 1;
  }
  if (is_allowed(w, &d)) return 1;
  return refuse_packet(skb, w, p, 0, NW_HOOK_PACKET, NW_REASON_PACKET_OLD_SOCKET);
}

/* An older socket: no hook marked it, and translation may hide the resolver in its packets (Docker's 127.0.0.11). */
static __always_inline int is_connected_to_resolver(struct nw_workload* w, struct bpf_sock* sk) {
  struct destination d = {};
  return socket_destination(sk, &d) && is_resolver(w, (struct ip_address*)d.address, (__u16)d.key);
}

/* Whether the workload could reach the packet's other end without the resolver exception: by a rule, a grant (also an
 * expired one that is remembered), loopback, or in answer. */
static __always_inline int is_reachable_itself(struct nw_workload* w, struct __sk_buff* skb, struct packet* p,
                                               struct bpf_sock* sk, int outwards) {
  if (is_open_loopback(skb, w, p, outwards)) return 1;
  struct destination d = {
      .ip_protocol = IPPROTO_UDP, .key = NW_PROTOCOL_UDP << 16 | p->port, .since = NW_DEADLINE_DEAD};
  __builtin_memcpy(d.address, p->address, sizeof(d.address));
  d.now = bpf_ktime_get_boot_ns();
  if (is_allowed(w, &d)) return 1;
  return !is_denied(w, &d) && may_answer(sk, &d);
}

/* Why a datagram of a socket that is judged packet by packet is refused. */
__noinline int why_refused(struct nw_workload* w, struct packet* p) {
  if (!w || !p) return NW_REASON_PORT;
  struct destination d = {.ip_protocol = IPPROTO_UDP, .key = NW_PROTOCOL_UDP << 16 | p->port};
  __builtin_memcpy(d.address, p->address, sizeof(d.address));
  d.bit = bit_of(w, d.key);
  int rules = judge_by_rules(w, &d);
  return rules == RULES_HOST_DENY ? NW_REASON_HOST_DENY : rules == RULES_DENY ? NW_REASON_DENY_RULE : NW_REASON_PORT;
}

/* Whether the socket's other end was a trusted resolver when the hooks judged it, and was translated beneath them: the
 * hooks let the socket go to nothing but resolvers, and the policy still trusts the last one. A socket that was ever
 * let go elsewhere is not believed, for what allowed that may be over by now. */
static __always_inline int has_translated_resolver(struct nw_workload* w, struct socket_state* state) {
  return (state->flags & (SOCKET_DNS | SOCKET_ORDINARY)) == SOCKET_DNS &&
         is_resolver(w, (struct ip_address*)state->resolver.address, state->resolver.port);
}

/* What a packet to a place that is no resolver is, by what the hooks know of its socket. */
enum datagram_kind { DATAGRAM_ORDINARY, DATAGRAM_QUESTION, DATAGRAM_REFUSED };

static __always_inline enum datagram_kind kind_of_datagram(struct nw_workload* w, struct __sk_buff* skb,
                                                           struct packet* p, struct bpf_sock* sk,
                                                           struct socket_state* state, const __u32* from) {
  __u32 flags = state ? state->flags : 0;
  /* A send that races with a disconnect gets no address and the port: the kernel takes loopback or the source for it.
   */
  if ((flags & SOCKET_ORDINARY) && (is_loopback(p->address) || same_address(p->address, from)))
    flags |= SOCKET_EACH_PACKET;
  if (!(flags & (SOCKET_DNS | SOCKET_JUDGE_EACH | SOCKET_EACH_PACKET)))
    return (w->flags & NW_FLAG_STRICT) && !(flags & SOCKET_ORDINARY) && is_connected_to_resolver(w, sk)
               ? DATAGRAM_QUESTION
               : DATAGRAM_ORDINARY;
  if (w->mode == NW_MODE_AUDIT && !(flags & SOCKET_JUDGE_EACH)) return DATAGRAM_ORDINARY;
  if (is_reachable_itself(w, skb, p, sk, 1)) return DATAGRAM_ORDINARY;
  return state && has_translated_resolver(w, state) ? DATAGRAM_QUESTION : DATAGRAM_REFUSED;
}

static __always_inline int judge_udp_out(struct nw_workload* w, struct __sk_buff* skb, struct packet* p) {
  struct nw_resolver* proxied = resolver_of_packet(skb, p);
  if (proxied) attribute(skb, w, p); /* first: whatever passes from here on must be known */
  struct bpf_sock* sk = skb->sk;
  if (sk) sk = bpf_sk_fullsock(sk);
  if (!sk) return refuse_packet(skb, w, p, 0, NW_HOOK_PACKET, NW_REASON_PACKET_NO_SOCKET);
  /* bind is not the only way to an address and a port: there are IP_PKTINFO, ports that the kernel chooses, and answers
   * that translation takes for the resolver's. */
  struct local_end from = {};
  read_local(skb, &from, p->transport, 1);
  if (is_resolver(w, (struct ip_address*)from.address, from.port) ||
      (may_be_place(from.address) &&
       resolver_of_place(netns_cookie_of(skb), from.address, from.port, NW_PROTOCOL_UDP)))
    return refuse_packet(skb, w, p, 0, NW_HOOK_PACKET, NW_REASON_BIND_RESOLVER);
  struct socket_state* state = bpf_sk_storage_get(&sockets, sk, 0, proxied ? BPF_SK_STORAGE_GET_F_CREATE : 0);
  if (proxied)
    return state ? judge_proxied(skb, w, p, state, proxied) != 0
                 : refuse_packet(skb, w, p, 0, NW_HOOK_QUESTION, NW_REASON_QUESTION_NO_SLOT);
  enum datagram_kind kind = DATAGRAM_QUESTION;
  if (!is_resolver(w, (struct ip_address*)p->address, p->port))
    kind = kind_of_datagram(w, skb, p, sk, state, from.address);
  if (kind == DATAGRAM_REFUSED) return refuse_packet(skb, w, p, state, NW_HOOK_SEND, why_refused(w, p));
  if (kind == DATAGRAM_QUESTION) {
    if (!state) state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!state) return refuse_packet(skb, w, p, 0, NW_HOOK_QUESTION, NW_REASON_QUESTION_NO_SLOT);
    return judge_question(skb, w, p, state) != 0;
  }
  if (w->flags & NW_FLAG_STRICT) return judge_old_socket(w, skb, p, sk);
  return 1;
}

/* The connect hook saw a listener of the workload's own at the place. This connection may meet another one: of a group
 * that shares the port (SO_REUSEPORT), or that took the place since. */
static __always_inline int meets_foreign_listener(struct nw_workload* w, struct __sk_buff* skb, struct packet* p) {
  if (w->mode == NW_MODE_AUDIT || !is_loopback(p->address)) return 0;
  __u8 flags;
  if (bpf_skb_load_bytes(skb, p->transport + TCP_FLAGS, &flags, 1)) return 1;
  if ((flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) return 0;
  struct nw_resolver* resolver = resolver_of_packet(skb, p);
  if (resolver) return !trusts(w, resolver);
  if (is_open_loopback(skb, w, p, 1)) return 0;
  struct destination d = {.ip_protocol = IPPROTO_TCP, .key = NW_PROTOCOL_TCP << 16 | p->port};
  __builtin_memcpy(d.address, p->address, sizeof(d.address));
  d.now = bpf_ktime_get_boot_ns();
  d.since = d.now;
  return !is_allowed(w, &d);
}

static __always_inline int judge_tcp_out(struct nw_workload* w, struct __sk_buff* skb, struct packet* p) {
  if (meets_foreign_listener(w, skb, p)) return refuse_packet(skb, w, p, 0, NW_HOOK_PACKET, NW_REASON_LOOPBACK);
  if (!(w->flags & NW_FLAG_STRICT)) return 1;
  struct bpf_sock* sk = skb->sk;
  if (sk) sk = bpf_sk_fullsock(sk);
  if (!sk) return refuse_packet(skb, w, p, 0, NW_HOOK_PACKET, NW_REASON_PACKET_NO_SOCKET);
  return judge_old_socket(w, skb, p, sk);
}

/* Ping sockets send without a hook, so echo requests are looked up here. The other ICMP messages are the kernel's: raw
 * sockets do not exist in a workload. */
static __always_inline int judge_icmp_out(struct nw_workload* w, struct __sk_buff* skb, struct packet* p) {
  int is_echo;
  if (p->protocol == IPPROTO_ICMP) {
    is_echo = p->icmp_type == ICMP_ECHO_REQUEST || p->icmp_type == ICMP_EXTENDED_ECHO_REQUEST;
  } else {
    if (p->icmp_type >= NDP_FIRST && p->icmp_type <= NDP_LAST) return p->hop_limit == 255;
    is_echo = p->icmp_type == ICMPV6_ECHO_REQUEST_TYPE || p->icmp_type == ICMPV6_EXTENDED_ECHO_REQUEST;
  }
  if (!is_echo) return 1;
  p->port = 0;
  if (is_loopback(p->address) && (w->flags & (NW_FLAG_LOOPBACK_OWN | NW_FLAG_LOOPBACK_ANY))) return 1;
  struct destination d = {.ip_protocol = p->protocol, .key = NW_PROTOCOL_ICMP << 16};
  __builtin_memcpy(d.address, p->address, sizeof(d.address));
  d.now = bpf_ktime_get_boot_ns();
  d.since = d.now;
  if (is_allowed(w, &d)) return 1;
  return refuse_packet(skb, w, p, 0, NW_HOOK_PACKET, why_not_granted(w, &d));
}

/* A UDP packet with plain headers, neither to nor from a resolver's port, neither to loopback nor to its own source, of
 * a socket of which nothing else is known than that its hooks let it go elsewhere: they judged it. Most datagrams end
 * here. */
static __always_inline int is_ordinary_udp(struct nw_workload* w, struct __sk_buff* skb) {
  __u8 *data = (void*)(long)skb->data, *end = (void*)(long)skb->data_end;
  if (skb->protocol != bpf_htons(ETH_P_IP) || data + IPV4_HEADER + UDP_HEADER > end) return 0;
  if (!is_plain_ipv4(data) || data[9] != IPPROTO_UDP) return 0;
  __u32 from = *(__u32*)(data + 12), to = *(__u32*)(data + 16);
  __u16 from_port = bpf_ntohs(*(__be16*)(data + IPV4_HEADER)), to_port = bpf_ntohs(*(__be16*)(data + IPV4_HEADER + 2));
  if (from == to || (to & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000)) return 0;
  if (may_be_resolver_port(w, from_port) || may_be_resolver_port(w, to_port)) return 0;
  struct bpf_sock* sk = skb->sk;
  struct socket_state* state = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : 0;
  return state && !(state->flags & ~(SOCKET_ORDINARY | SOCKET_CONNECTED));
}

#define LOOPBACK_IFINDEX 1 /* of every network namespace */

/* What goes to a loopback address leaves by the loopback device: IP_PKTINFO, IP_UNICAST_IF, or a device that a socket
 * is bound to later would put it on the wire, where neither the judge of loopback nor the proxy reads it. */
static __always_inline int is_astray(struct __sk_buff* skb) {
  if (skb->ifindex == LOOPBACK_IFINDEX) return 0;
  __u8 *data = (void*)(long)skb->data, *end = (void*)(long)skb->data_end;
  if (skb->protocol == bpf_htons(ETH_P_IP)) return data + IPV4_HEADER <= end && data[16] == 127;
  if (data + IPV6_HEADER > end) return 0;
  __u32 to[4];
  __builtin_memcpy(to, data + 24, sizeof(to));
  return is_loopback(to);
}

SEC("cgroup_skb/egress")
int namewall_egress(struct __sk_buff* skb) {
  struct nw_workload* w = workload_of_packet(skb);
  if (!w) return 0;
  if (is_unrestricted(w)) return 1;
  if (w->mode == NW_MODE_DENY) return 0;
  int astray = is_astray(skb);
  if (!astray && !(w->flags & NW_FLAG_STRICT) &&
      (is_plain_tcp(skb, TCP_SYN | TCP_ACK, TCP_SYN) || is_ordinary_udp(w, skb)))
    return 1;
  struct packet p = {};
  if (!read_headers(skb, &p, 1)) {
    set_token(skb, 0); /* audit lets it pass, and nobody looked where it goes */
    return refuse_packet(skb, w, &p, 0, NW_HOOK_PACKET, NW_REASON_PACKET_OPTIONS);
  }
  if (astray) return refuse_packet(skb, w, &p, 0, NW_HOOK_PACKET, NW_REASON_LOOPBACK);
  switch (p.protocol) {
    case IPPROTO_TCP:
      return judge_tcp_out(w, skb, &p);
    case IPPROTO_UDP:
      return judge_udp_out(w, skb, &p);
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return judge_icmp_out(w, skb, &p);
    default:
      return refuse_packet(skb, w, &p, 0, NW_HOOK_PACKET, NW_REASON_PACKET_PROTOCOL);
  }
}

#endif
