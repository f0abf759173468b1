/* Packets in: DNS answers teach; connections and datagrams from outside pass where the policy listens. */
#ifndef NAMEWALL_BPF_INGRESS_BPF_H
#define NAMEWALL_BPF_INGRESS_BPF_H

#include "bpf/answer.bpf.h"

#define RECENTLY (60 * SECOND) /* a datagram may come from an address that was allowed so long ago */

/* The packet's own end: address and port. */
static __always_inline void read_local(struct __sk_buff *skb, struct packet *p, __u32 *local, __u16 *port) {
  __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
  *port = 0;
  if (p->transport == IPV4_HEADER) {
    if (data + 28 > end) return;
    local[0] = 0;
    local[1] = 0;
    local[2] = MAPPED_WORD;
    local[3] = *(__u32 *)(data + 16);
    *port = bpf_ntohs(*(__be16 *)(data + 22));
    return;
  }
  if (data + 48 > end) return;
  __u32 *address = (__u32 *)(data + 24);
  local[0] = address[0];
  local[1] = address[1];
  local[2] = address[2];
  local[3] = address[3];
  *port = bpf_ntohs(*(__be16 *)(data + 42));
}

static __always_inline int is_from_own(struct nw_workload *w, struct __sk_buff *skb, struct packet *p,
                                       const __u32 *local, __u16 local_port) {
  if (!is_loopback(p->address)) return 0;
  if (w->flags & NW_FLAG_LOOPBACK_ANY) return 1;
  return (w->flags & NW_FLAG_LOOPBACK_OWN) && is_own_peer(w, skb, p->address, p->port, local, local_port, p->protocol);
}

static __always_inline int judge_tcp_in(struct nw_workload *w, struct __sk_buff *skb, struct packet *p) {
  __u8 flags;
  if (bpf_skb_load_bytes(skb, p->transport + TCP_FLAGS, &flags, 1)) return 0;
  if ((flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) return 1;
  __u32 local[4] = {};
  __u16 port;
  read_local(skb, p, local, &port);
  if (bit_of(w, NW_PROTOCOL_TCP << 16 | port) & w->listen) return 1;
  if (is_from_own(w, skb, p, local, port)) return 1;
  return refuse_packet(skb, w, p, 0, NW_HOOK_INBOUND, NW_REASON_INBOUND_TCP);
}

/* The peer of a datagram that passed may be answered for a while; the first of the socket's peers gives way. */
__noinline int remember_peer(struct udp_peers *known, struct packet *p, __u64 now) {
  if (!known || !p) return 0;
  for (__u32 i = 0; i < UDP_PEERS; i++) {
    struct udp_peer *peer = &known->peers[i];
    if (peer->port != p->port || !same_address(peer->address, p->address)) continue;
    peer->until = now + UDP_ANSWER_TIME;
    return 0;
  }
  struct udp_peer *peer = &known->peers[known->next++ & (UDP_PEERS - 1)];
  peer->until = 0;
  __builtin_memcpy(peer->address, p->address, sizeof(peer->address));
  peer->port = p->port;
  peer->until = now + UDP_ANSWER_TIME;
  return 0;
}

static __always_inline int judge_udp_in(struct nw_workload *w, struct __sk_buff *skb, struct packet *p) {
  struct bpf_sock *sk = skb->sk;
  if (sk) sk = bpf_sk_fullsock(sk);
  if (!sk) return refuse_packet(skb, w, p, 0, NW_HOOK_INBOUND, NW_REASON_PACKET_NO_SOCKET);
  struct socket_state *state = bpf_sk_storage_get(&sockets, sk, 0, 0);
  if ((state && (state->flags & SOCKET_DNS)) || is_resolver(w, (struct ip_address *)p->address, p->port)) {
    if (!state) return refuse_packet(skb, w, p, 0, NW_HOOK_ANSWER, NW_REASON_ANSWER_UNSOLICITED);
    return judge_answer(skb, w, p, state) != 0;
  }
  if (sk->dst_port) return 1; /* connected: the kernel delivers from the peer only */
  __u32 local[4] = {};
  __u16 port;
  read_local(skb, p, local, &port);
  struct destination d = {.ip_protocol = IPPROTO_UDP, .key = NW_PROTOCOL_UDP << 16 | p->port};
  __builtin_memcpy(d.address, p->address, sizeof(d.address));
  d.now = bpf_ktime_get_boot_ns();
  d.since = d.now > RECENTLY ? d.now - RECENTLY : 0;
  int listens = (bit_of(w, NW_PROTOCOL_UDP << 16 | port) & w->listen) != 0;
  if (!listens && is_allowed(w, &d)) return 1;
  if (!listens && !is_from_own(w, skb, p, local, port))
    return refuse_packet(skb, w, p, 0, NW_HOOK_INBOUND, NW_REASON_INBOUND_UDP);
  struct udp_peers *known = bpf_sk_storage_get(&answerable, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (known)
    remember_peer(known, p, d.now);
  else
    count(w, NW_COUNTER_HELPER_FAILURES);
  return 1;
}

SEC("cgroup_skb/ingress")
int namewall_ingress(struct __sk_buff *skb) {
  struct nw_workload *w = bpf_get_local_storage(&workloads, 0);
  if (w->mode == NW_MODE_DENY) return 0;
  if (is_plain_tcp(skb, TCP_SYN | TCP_ACK, TCP_SYN)) return 1;
  struct packet p = {};
  if (!read_headers(skb, &p, 0)) return refuse_packet(skb, w, &p, 0, NW_HOOK_INBOUND, NW_REASON_PACKET_OPTIONS);
  switch (p.protocol) {
    case IPPROTO_TCP:
      return judge_tcp_in(w, skb, &p);
    case IPPROTO_UDP:
      return judge_udp_in(w, skb, &p);
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return 1;
    default:
      return refuse_packet(skb, w, &p, 0, NW_HOOK_INBOUND, NW_REASON_PACKET_PROTOCOL);
  }
}

#endif
