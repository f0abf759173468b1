/* Packets in: DNS answers teach; connections and datagrams from outside pass where the policy listens. */
#ifndef NAMEWALL_BPF_INGRESS_BPF_H
#define NAMEWALL_BPF_INGRESS_BPF_H

#include "bpf/answer.bpf.h"

#define RECENTLY (60 * SECOND) /* a datagram may come from an address that was allowed so long ago */

static __always_inline int judge_tcp_in(struct nw_workload* w, struct __sk_buff* skb, struct packet* p) {
  __u8 flags;
  if (bpf_skb_load_bytes(skb, p->transport + TCP_FLAGS, &flags, 1)) return 0;
  if ((flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) return 1;
  struct local_end local = {};
  read_local(skb, &local, p->transport, 0);
  if (bit_of(w, NW_PROTOCOL_TCP << 16 | local.port) & w->listen) return 1;
  if (is_open_loopback(skb, w, p, 0)) return 1;
  return refuse_packet(skb, w, p, 0, NW_HOOK_INBOUND, NW_REASON_INBOUND_TCP);
}

/* A socket that was let go where the host denies, to sort addresses, gets nothing from there either. */
static __always_inline int is_connected_to_sort(struct nw_workload* w, const struct socket_state* state,
                                                const struct packet* p) {
  if (!state || !(state->flags & SOCKET_JUDGE_EACH)) return 0;
  struct destination d = {.ip_protocol = IPPROTO_UDP, .key = NW_PROTOCOL_UDP << 16 | p->port};
  __builtin_memcpy(d.address, p->address, sizeof(d.address));
  d.bit = bit_of(w, d.key);
  return is_denied(w, &d);
}

static __always_inline int judge_udp_in(struct nw_workload* w, struct __sk_buff* skb, struct packet* p) {
  struct bpf_sock* sk = skb->sk;
  if (sk) sk = bpf_sk_fullsock(sk);
  if (!sk) return refuse_packet(skb, w, p, 0, NW_HOOK_INBOUND, NW_REASON_PACKET_NO_SOCKET);
  struct socket_state* state = bpf_sk_storage_get(&sockets, sk, 0, 0);
  if (resolver_of_packet(skb, p))
    return state ? judge_proxied_answer(skb, w, p, state) != 0
                 : refuse_packet(skb, w, p, 0, NW_HOOK_ANSWER, NW_REASON_ANSWER_UNSOLICITED);
  int is_answer = is_resolver(w, (struct ip_address*)p->address, p->port);
  if (!is_answer && state && has_translated_resolver(w, state))
    is_answer = w->mode != NW_MODE_AUDIT && !is_reachable_itself(w, skb, p, sk, 0);
  if (is_answer) {
    if (!state) return refuse_packet(skb, w, p, 0, NW_HOOK_ANSWER, NW_REASON_ANSWER_UNSOLICITED);
    return judge_answer(skb, w, p, state) != 0;
  }
  /* Connected: the kernel delivers from the peer only, unless the socket was connected behind the kernel's lookup. */
  struct destination peer = {};
  if (socket_destination(sk, &peer) && (__u16)peer.key == p->port && same_address(peer.address, p->address) &&
      !is_connected_to_sort(w, state, p))
    return 1;
  struct local_end local = {};
  read_local(skb, &local, p->transport, 0);
  struct destination d = {.ip_protocol = IPPROTO_UDP, .key = NW_PROTOCOL_UDP << 16 | p->port};
  __builtin_memcpy(d.address, p->address, sizeof(d.address));
  d.now = bpf_ktime_get_boot_ns();
  d.since = d.now > RECENTLY ? d.now - RECENTLY : 0;
  int listens = (bit_of(w, NW_PROTOCOL_UDP << 16 | local.port) & w->listen) != 0;
  if (!listens && is_allowed(w, &d)) return 1;
  if (!listens && !is_open_loopback(skb, w, p, 0))
    return refuse_packet(skb, w, p, 0, NW_HOOK_INBOUND, NW_REASON_INBOUND_UDP);
  struct udp_peers* known = bpf_sk_storage_get(&answerable, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (known)
    remember_peer(known, p, d.now);
  else
    count(w, NW_COUNTER_HELPER_FAILURES);
  return 1;
}

/* Replies to ping sockets: the other messages do not reach a workload's socket, for raw ones do not exist in it. */
static __always_inline int judge_icmp_in(struct nw_workload* w, struct __sk_buff* skb, struct packet* p) {
  p->port = 0;
  if (is_loopback(p->address) && (w->flags & (NW_FLAG_LOOPBACK_OWN | NW_FLAG_LOOPBACK_ANY))) return 1;
  struct destination d = {.ip_protocol = p->protocol, .key = NW_PROTOCOL_ICMP << 16};
  __builtin_memcpy(d.address, p->address, sizeof(d.address));
  d.now = bpf_ktime_get_boot_ns();
  d.since = d.now > RECENTLY ? d.now - RECENTLY : 0;
  if (is_allowed(w, &d)) return 1;
  return refuse_packet(skb, w, p, 0, NW_HOOK_INBOUND, NW_REASON_INBOUND_UDP);
}

SEC("cgroup_skb/ingress")
int namewall_ingress(struct __sk_buff* skb) {
  struct nw_workload* w = workload_of_packet(skb);
  if (!w) return 0;
  if (is_unrestricted(w)) return 1;
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
      return judge_icmp_in(w, skb, &p);
    default:
      return refuse_packet(skb, w, &p, 0, NW_HOOK_INBOUND, NW_REASON_PACKET_PROTOCOL);
  }
}

#endif
