/* Who is at the other end: own sockets on loopback, and UDP peers that may be answered. */
#ifndef NAMEWALL_BPF_PEERS_BPF_H
#define NAMEWALL_BPF_PEERS_BPF_H

#include "bpf/packet.bpf.h"

/* The peer of a connected socket, as the program asked for it: before any translation. 0: not connected. */
static __always_inline int socket_destination(struct bpf_sock* sk, struct destination* d) {
  if (!sk->dst_port) return 0;
  /* Volatile, or the compiler computes an address inside the socket, which the verifier refuses. */
  __u32 v4 = READ_ONCE(sk->dst_ip4), w0 = READ_ONCE(sk->dst_ip6[0]), w1 = READ_ONCE(sk->dst_ip6[1]);
  __u32 w2 = READ_ONCE(sk->dst_ip6[2]), w3 = READ_ONCE(sk->dst_ip6[3]);
  int family_v4 = sk->family == AF_INET_NUMBER;
  d->address[0] = family_v4 ? 0 : w0;
  d->address[1] = family_v4 ? 0 : w1;
  d->address[2] = family_v4 ? MAPPED_WORD : w2;
  d->address[3] = family_v4 ? v4 : w3;
  d->key = (d->key & 0xffff0000) | bpf_ntohs(sk->dst_port);
  return 1;
}

/* The local end of a packet, as bpf_sk_lookup wants it. */
struct local_end {
  __u32 address[4];
  __u16 port;
  __u16 reserved;
};

/* A global function: inlined, the compiler computes addresses inside the context, which the verifier refuses. */
__noinline int read_local(struct __sk_buff* skb, struct local_end* local, __u32 transport, __u32 outwards) {
  if (!local) return 0;
  __u8 *data = (void*)(long)skb->data, *end = (void*)(long)skb->data_end;
  if (transport == IPV4_HEADER) {
    if (data + IPV4_HEADER + 8 > end) return 0;
    local->address[2] = MAPPED_WORD;
    local->address[3] = outwards ? *(__u32*)(data + 12) : *(__u32*)(data + 16);
    local->port = bpf_ntohs(outwards ? *(__be16*)(data + IPV4_HEADER) : *(__be16*)(data + IPV4_HEADER + 2));
    return 1;
  }
  if (data + IPV6_HEADER + 8 > end) return 0;
  __u32* address = (__u32*)(outwards ? data + 8 : data + 24);
  local->address[0] = address[0];
  local->address[1] = address[1];
  local->address[2] = address[2];
  local->address[3] = address[3];
  local->port = bpf_ntohs(outwards ? *(__be16*)(data + IPV6_HEADER) : *(__be16*)(data + IPV6_HEADER + 2));
  return 1;
}

/* Whether the loopback peer of a packet is one of the workload's own sockets. */
static __always_inline int is_own_peer(const struct nw_workload* w, struct __sk_buff* skb, const __u32* peer,
                                       __u16 peer_port, const struct local_end* local, __u8 protocol) {
  struct bpf_sock_tuple tuple = {};
  __u32 size;
  if (is_v4(peer)) {
    tuple.ipv4.saddr = local->address[3];
    tuple.ipv4.daddr = peer[3];
    tuple.ipv4.sport = bpf_htons(local->port);
    tuple.ipv4.dport = bpf_htons(peer_port);
    size = sizeof(tuple.ipv4);
  } else {
    __builtin_memcpy(tuple.ipv6.saddr, local->address, 16);
    __builtin_memcpy(tuple.ipv6.daddr, peer, 16);
    tuple.ipv6.sport = bpf_htons(local->port);
    tuple.ipv6.dport = bpf_htons(peer_port);
    size = sizeof(tuple.ipv6);
  }
  struct bpf_sock* sk;
  if (protocol == IPPROTO_TCP)
    sk = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
  else
    sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
  if (!sk) return 0;
  int own = bpf_sk_ancestor_cgroup_id(sk, w->cgroup_level) == w->cgroup_id;
  bpf_sk_release(sk);
  return own;
}

/* Whether a loopback rule opens the packet's other end. */
__noinline int is_open_loopback(struct __sk_buff* skb, struct nw_workload* w, struct packet* p, __u32 outwards) {
  if (!w || !p || !is_loopback(p->address)) return 0;
  if (w->flags & NW_FLAG_LOOPBACK_ANY) return 1;
  if (!(w->flags & NW_FLAG_LOOPBACK_OWN)) return 0;
  struct local_end local = {};
  read_local(skb, &local, p->transport, outwards);
  return is_own_peer(w, skb, p->address, p->port, &local, p->protocol);
}

__noinline int is_known_peer(struct udp_peers* known, struct destination* d) {
  if (!known || !d) return 0;
  for (__u32 i = 0; i < UDP_PEERS; i++) {
    struct udp_peer* peer = &known->peers[i];
    if (peer->until > d->now && peer->port == (__u16)d->key && same_address(peer->address, d->address)) return 1;
  }
  return 0;
}

/* A datagram that the socket received from this peer may be answered for a while. */
static __always_inline int may_answer(struct bpf_sock* sk, struct destination* d) {
  struct udp_peers* known = bpf_sk_storage_get(&answerable, sk, 0, 0);
  return known && is_known_peer(known, d);
}

/* The peer of a datagram that passed may be answered for a while; the first of the socket's peers gives way. */
__noinline int remember_peer(struct udp_peers* known, struct packet* p, __u64 now) {
  if (!known || !p) return 0;
  for (__u32 i = 0; i < UDP_PEERS; i++) {
    struct udp_peer* peer = &known->peers[i];
    if (peer->port != p->port || !same_address(peer->address, p->address)) continue;
    peer->until = now + UDP_ANSWER_TIME;
    return 0;
  }
  struct udp_peer* peer = &known->peers[known->next++ & (UDP_PEERS - 1)];
  peer->until = 0;
  __builtin_memcpy(peer->address, p->address, sizeof(peer->address));
  peer->port = p->port;
  peer->until = now + UDP_ANSWER_TIME;
  return 0;
}

#endif
