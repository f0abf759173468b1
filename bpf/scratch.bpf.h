/* Per-CPU working memory for the DNS paths, claimed for the length of one check: egress may be preempted by another
 * egress on the same CPU, and interrupted by ingress. No free entry: the packet is refused and counted. */
#ifndef NAMEWALL_BPF_SCRATCH_BPF_H
#define NAMEWALL_BPF_SCRATCH_BPF_H

#include "bpf/maps.bpf.h"

#define PACKET_BYTES 4096
#define MAX_RECORDS 256
#define MAX_ALIASES 16

/* One A, AAAA or CNAME record of the answer section. */
struct record {
  __u64 owner;  /* keyed hash of the expanded name, case folded */
  __u64 target; /* of a CNAME */
  __u32 ttl;
  __u32 path_ttl; /* the smallest from the question name to here; valid when reached */
  __u16 type;
  __u16 data; /* offset of RDATA */
  __u8 reached;
  __u8 expanded;
  __u8 reserved[2];
};

/* A grant to be made. */
struct lesson {
  __u32 address[4];
  __u64 deadline;
  __u64 word;
  __u64 name_id;
  __u64 now;
  __u32 note;
  __u32 is_private;
  __u32 tag;
};

#define WINDOW_BYTES (NW_WINDOW_WORDS * 8)
#define WINDOW_LAST (8 + WINDOW_BYTES - 1) /* index in `reversed` of the name's first character */

struct scratch {
  __u32 busy;
  __u32 length; /* of the DNS message in `packet` */
  /* the name walkers */
  __u32 offset;
  __u32 label_left;
  __u32 hops;
  __u32 expanded_length;
  __u32 first_end; /* behind the part of the name that lies at the start offset */
  __u32 done;
  __u32 error;
  __u32 name_length;
  __u32 labels;
  __u64 hash;
  __u64 hash_seed;
  /* the name being judged */
  __u64 allow;
  __u64 allow_private;
  __u64 glob_allow, glob_allow_private, glob_deny;
  __u32 is_listed; /* the policy has a node for this very name */
  __u32 is_known;  /* the name table holds it, judged under whatever policy */
  __u32 policy_id;
  __u32 glob_pattern_at, glob_name_at, glob_name_start, glob_star_pattern, glob_star_name, glob_matched;
  /* the answer being read */
  __u32 record_count;
  __u32 cursor;
  __u32 known_offset; /* the last expanded name, its pointers and its hash: owners mostly point to one */
  __u32 known_hops;
  __u64 known_hash;
  __u64 question_hash;
  __u64 alias;     /* being expanded: its target, */
  __u32 alias_ttl; /* and the path's TTL */
  __u32 next_alias;
  __u64 now;
  __u64 name_id;
  __u64 last_deadline;
  __u32 failure; /* nw_reason */
  __u32 report_hook, report_reason, report_type;
  __u32 has_addresses;
  struct nw_name name; /* a new entry of the name table */
  struct lesson lesson;
  struct ip_address own;
  /* 8 bytes for the head of a trie key, the window, its end byte, and room so that a whole key can be read from any
   * start */
  __u8 reversed[8 + WINDOW_BYTES + 8 + 248];
  struct record records[MAX_RECORDS];
  __u8 packet[PACKET_BYTES + 64];
};

#define SCRATCH_EGRESS 0
#define SCRATCH_INGRESS 2
#define SCRATCH_REJUDGE 4
#define SCRATCH_EACH 2

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct scratch);
  __uint(max_entries, 6);
} scratches SEC(".maps");

static __always_inline struct scratch* claim_scratch(__u32 first) {
  for (__u32 i = 0; i < SCRATCH_EACH; i++) {
    __u32 index = first + i;
    struct scratch* s = bpf_map_lookup_elem(&scratches, &index);
    if (!s) return 0;
    if (__sync_val_compare_and_swap(&s->busy, 0, 1) == 0) return s;
  }
  return 0;
}

static __always_inline void release_scratch(struct scratch* s) { __sync_lock_test_and_set(&s->busy, 0); }

static __always_inline struct nw_window* window_of(struct scratch* s) { return (struct nw_window*)&s->reversed[8]; }

static __always_inline __u16 packet_u16(struct scratch* s, __u32 offset) {
  offset &= PACKET_BYTES - 1;
  return ((__u16)s->packet[offset] << 8) | s->packet[offset + 1];
}

static __always_inline __u32 packet_u32(struct scratch* s, __u32 offset) {
  return ((__u32)packet_u16(s, offset) << 16) | packet_u16(s, offset + 2);
}

#endif
