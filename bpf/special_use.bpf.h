/* Which addresses an answer may not teach: the list of policy/special_use.h, in its order. */
#ifndef NAMEWALL_BPF_SPECIAL_USE_BPF_H
#define NAMEWALL_BPF_SPECIAL_USE_BPF_H

#include "bpf/maps.bpf.h"

enum special_use { USE_PUBLIC, USE_PRIVATE, USE_NEVER };

/* `a` in host order. */
static __always_inline enum special_use classify_v4(__u32 a) {
  if ((a & 0xff000000) == 0x0a000000) return USE_PRIVATE; /* 10/8 */
  if ((a & 0xfff00000) == 0xac100000) return USE_PRIVATE; /* 172.16/12 */
  if ((a & 0xffff0000) == 0xc0a80000) return USE_PRIVATE; /* 192.168/16 */
  if ((a & 0xffc00000) == 0x64400000) return USE_PRIVATE; /* 100.64/10 */
  if ((a & 0xff000000) == 0x00000000) return USE_NEVER;
  if ((a & 0xff000000) == 0x7f000000) return USE_NEVER;
  if ((a & 0xffff0000) == 0xa9fe0000) return USE_NEVER; /* 169.254/16 */
  if ((a & 0xffffff00) == 0xc0000000) return USE_NEVER; /* 192.0.0/24 */
  if ((a & 0xffffff00) == 0xc0586300) return USE_NEVER; /* 192.88.99/24 */
  if ((a & 0xfffe0000) == 0xc6120000) return USE_NEVER; /* 198.18/15 */
  if ((a & 0xe0000000) == 0xe0000000) return USE_NEVER; /* 224/3 */
  return USE_PUBLIC;
}

static __always_inline enum special_use classify_embedded(__u32 a) {
  return classify_v4(a) == USE_PUBLIC ? USE_PUBLIC : USE_NEVER;
}

/* The address in network order, IPv4 as v4-mapped. */
__noinline int classify_address(struct ip_address* a, __u32 from_aaaa) {
  if (!a) return USE_NEVER;
  __u32 w0 = bpf_ntohl(a->address[0]), w1 = bpf_ntohl(a->address[1]);
  __u32 w2 = bpf_ntohl(a->address[2]), w3 = bpf_ntohl(a->address[3]);
  if (w0 == 0 && w1 == 0 && w2 == 0xffff) return from_aaaa ? classify_embedded(w3) : classify_v4(w3);
  if (w0 == 0x0064ff9b && w1 == 0 && w2 == 0) return classify_embedded(w3);
  if ((w0 & 0xfe000000) == 0xfc000000) return USE_PRIVATE;
  if ((w0 & 0xe0000000) != 0x20000000) return USE_NEVER;
  if (w0 == 0x20010000) {
    if (classify_embedded(w1) != USE_PUBLIC) return USE_NEVER;
    return classify_embedded(~w3);
  }
  if ((w0 & 0xfffffe00) == 0x20010000) return USE_NEVER;
  if ((w0 & 0xffff0000) == 0x20020000) return classify_embedded((w0 << 16) | (w1 >> 16));
  return USE_PUBLIC;
}

#endif
