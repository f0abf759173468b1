/* The headers of a packet, read in place. */
#ifndef NAMEWALL_BPF_PACKET_BPF_H
#define NAMEWALL_BPF_PACKET_BPF_H

#include "bpf/verdict.bpf.h"

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define TCP_HEADER 20
#define UDP_HEADER 8
#define TCP_FLAGS 13 /* byte of the TCP header */
#define TCP_SYN 0x02
#define TCP_ACK 0x10

/* The headers of a packet. `address` and `port` are the remote end's: where it goes, or where it came from. */
struct packet {
  __u32 address[4];
  __u16 port;
  __u8 protocol;
  __u8 icmp_type;
  __u8 hop_limit;
  __u8 reserved[3];
  __u32 transport; /* offset of the transport header */
};

/* No options; no fragment: a packet is fragmented behind these hooks, and reassembled before them. */
static __always_inline int is_plain_ipv4(const __u8* data) {
  return data[0] == 0x45 && !(*(__be16*)(data + 6) & bpf_htons(0x3fff));
}

/* A TCP packet with plain headers whose flags under `mask` are not `unwanted`: most packets end here. */
static __always_inline int is_plain_tcp(struct __sk_buff* skb, __u8 mask, __u8 unwanted) {
  __u8 *data = (void*)(long)skb->data, *end = (void*)(long)skb->data_end;
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    if (data + IPV4_HEADER + TCP_HEADER > end) return 0;
    return is_plain_ipv4(data) && data[9] == IPPROTO_TCP && (data[IPV4_HEADER + TCP_FLAGS] & mask) != unwanted;
  }
  if (data + IPV6_HEADER + TCP_HEADER > end) return 0;
  return data[6] == IPPROTO_TCP && (data[IPV6_HEADER + TCP_FLAGS] & mask) != unwanted;
}

/* Reads the fixed headers. 1: a packet that can be judged; `port` and `icmp_type` are of its transport header. */
static __always_inline int read_headers(struct __sk_buff* skb, struct packet* p, int outwards) {
  __u8 *data = (void*)(long)skb->data, *end = (void*)(long)skb->data_end;
  __u32 port_at = outwards ? 2 : 0;
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    if (data + IPV4_HEADER + 8 > end) return 0;
    if (!is_plain_ipv4(data)) return 0;
    p->protocol = data[9];
    p->transport = IPV4_HEADER;
    p->address[0] = 0;
    p->address[1] = 0;
    p->address[2] = MAPPED_WORD;
    p->address[3] = *(__u32*)(data + (outwards ? 16 : 12));
    p->port = bpf_ntohs(*(__be16*)(data + IPV4_HEADER + port_at));
    p->icmp_type = data[IPV4_HEADER];
    p->hop_limit = data[8];
    return 1;
  }
  if (data + IPV6_HEADER + 8 > end) return 0;
  p->protocol = data[6];
  p->transport = IPV6_HEADER;
  __u32* address = (__u32*)(data + (outwards ? 24 : 8));
  p->address[0] = address[0];
  p->address[1] = address[1];
  p->address[2] = address[2];
  p->address[3] = address[3];
  p->port = bpf_ntohs(*(__be16*)(data + IPV6_HEADER + port_at));
  p->icmp_type = data[IPV6_HEADER];
  p->hop_limit = data[7];
  return 1;
}

#endif
