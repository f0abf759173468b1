/* What the BPF programs and user space share: one definition for both, every size asserted.
 * Addresses are 16 bytes in network order, IPv4 as v4-mapped. Ports are in host order unless the name says _be.
 * Times are CLOCK_BOOTTIME nanoseconds. */
#ifndef NAMEWALL_BPF_ABI_H
#define NAMEWALL_BPF_ABI_H

#include <linux/types.h>

#include "policy/reason.h"

#ifdef __cplusplus
#define NW_ASSERT_SIZE(type, size) static_assert(sizeof(type) == (size), "shared layout of " #type)
#else
#define NW_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), "shared layout of " #type)
#endif

#define NW_ABI_VERSION 1

/* ---- port classes ----
 * A mask word is generation << 40 | mask. Bit 39 of the mask is no port: the name may be asked. A word whose generation
 * is not the workload's current one says nothing: its name is judged again. */
#define NW_MASK_BITS 40
#define NW_MASK ((1ULL << NW_MASK_BITS) - 1)
#define NW_ASK_BIT (1ULL << 39)
#define NW_PORT_BITS (NW_ASK_BIT - 1)
#define NW_GENERATION_MAX ((1u << 24) - 1)
#define NW_MAX_PORT_INTERVALS 256
/* Port keys: protocol index << 16 | port. */
#define NW_PROTOCOL_ICMP 0
#define NW_PROTOCOL_TCP 1
#define NW_PROTOCOL_UDP 2

/* ---- one workload ----
 * Lives in the cgroup's storage: the one write that replaces a policy. All zeros (a fresh storage) denies everything.
 * Never change its size within one ABI version: a program replaced by link update keeps the old memory. */
#define NW_MODE_DENY 0
#define NW_MODE_ENFORCE 1
#define NW_MODE_AUDIT 2

#define NW_FLAG_ADDRESS_RULES_V4 (1u << 0) /* the address trie holds IPv4 rules of this policy */
#define NW_FLAG_ADDRESS_RULES_V6 (1u << 1)
#define NW_FLAG_LOOPBACK_OWN (1u << 2)
#define NW_FLAG_LOOPBACK_ANY (1u << 3)
#define NW_FLAG_STRICT (1u << 4)         /* egress looks every packet up */
#define NW_FLAG_RETAIN_WORKLOAD (1u << 5) /* grants never expire */
#define NW_FLAG_TEMPLATE (1u << 6)       /* holds each direct child of its cgroup apart; not its own processes */
#define NW_FLAG_CHILD (1u << 7)          /* a row of `children` */
#define NW_FLAG_OWN_POLICY (1u << 8)     /* of a child: written by user space, the template's policy does not apply */
#define NW_FLAG_POOLED (1u << 9)         /* of a child: it shares the template's tables with others */
#define NW_FLAG_PROXY (1u << 10) /* questions go to the DNS proxy over UDP too */
/* What a row says of the child itself; the other flags are the policy's. */
#define NW_FLAGS_OF_CHILD (NW_FLAG_TEMPLATE | NW_FLAG_CHILD | NW_FLAG_OWN_POLICY | NW_FLAG_POOLED)

#define NW_MAX_RESOLVERS 8
#define NW_MAX_NETNS 4

struct nw_resolver {
  __u32 address[4];
  __u16 port;
  __u16 reserved;
};
NW_ASSERT_SIZE(struct nw_resolver, 20);

struct nw_workload {
  __u32 mode;
  __u32 flags;
  __u32 workload_id; /* never used twice within one boot */
  __u32 slot;        /* index of its tables; may be used again by a later workload */
  __u32 policy_id;   /* key of its rules in the tries; never used twice within one boot */
  __u32 generation;  /* of the policy in this workload, 1..NW_GENERATION_MAX */
  __u64 seed;        /* of the keyed hashes; secret, per workload */
  __u64 cgroup_id;
  __u32 cgroup_level;
  __u32 bucket_count;
  __u64 min_ttl;
  __u64 max_ttl;
  __u64 grace;
  __u64 listen;                        /* port classes that may be reached from outside */
  __u64 trusted_netns[NW_MAX_NETNS];   /* cookies of network namespaces whose DNS is trusted; 0: none */
  __u32 resolver_count;
  __u32 interval_count;
  struct nw_resolver resolvers[NW_MAX_RESOLVERS];
  __u32 intervals[NW_MAX_PORT_INTERVALS]; /* port key of the interval's start << 8 | class; sorted; unused: ~0 */
  __u16 first_resolver_port; /* the smallest and the largest of the resolvers: most packets go to neither */
  __u16 last_resolver_port;
  __u32 proxied_per_second; /* datagrams to the DNS proxy; 0: no bound */
  __u64 image_hash;   /* of the policy in force, for user space that comes later */
  __u64 template_id;  /* of a child: its template's cgroup id */
  __u16 token;        /* NW_MARK_TOKEN of its questions to the proxy; 0: they are in `proxy_askers` */
  __u16 reserved16;
  __u32 fresh_per_second; /* names below wildcards that are asked for the first time; 0: no bound */
  __u64 reserved[12];
};
NW_ASSERT_SIZE(struct nw_workload, 112 + 8 + 160 + 1024 + 8 + 120);

/* Key of `children`, an LPM trie: its values are freed one RCU grace period after they were replaced or deleted, those
 * of a hash map are used again at once. Two rows for one child: the programs write the one of NW_CHILD_PREFIX, user
 * space writes the one of NW_OWN_PREFIX (with own = 1); a lookup of the long key finds the own policy where there is
 * one. */
#define NW_CHILD_PREFIX 64
#define NW_OWN_PREFIX 96
struct nw_child_key {
  __u32 prefixlen;
  __u32 cgroup_id[2]; /* low word, high word */
  __u32 own;          /* 1 */
};
NW_ASSERT_SIZE(struct nw_child_key, 16);

/* Tables made ahead for a child of a template that appears while nobody is there to make them. */
struct nw_spare {
  __u32 slot;
  __u32 workload_id;
  __u32 bucket_count;
  __u32 token;
  __u64 seed;
};
NW_ASSERT_SIZE(struct nw_spare, 24);

/* What user space must not use twice within one boot. */
struct nw_ids {
  __u32 next_workload_id;
  __u32 next_policy_id;
};
NW_ASSERT_SIZE(struct nw_ids, 8);

struct nw_guard {
  __u32 level;  /* of the guarded cgroup */
  __u32 is_set; /* 0: fresh storage, refuses everything */
  __u64 cgroup_id;
  /* written by the program */
  __u64 refused;
  __u64 next_event; /* no event before this time */
};
NW_ASSERT_SIZE(struct nw_guard, 32);

/* ---- rules ---- */
#define NW_NAME_BYTES 252 /* 251 characters and the end byte: the LPM trie takes 256 bytes of data */
#define NW_NAME_MAX 251

/* Reversed name ("moc.elpmaxe"), then '\0' for an exact node or '.' for a below node; the root's below node is empty.
 * prefixlen counts bits from policy_id on. */
struct nw_name_key {
  __u32 prefixlen;
  __u32 policy_id;
  __u8 reversed[NW_NAME_BYTES];
};
NW_ASSERT_SIZE(struct nw_name_key, 260);

struct nw_masks {
  __u64 allow;
  __u64 allow_private;
  __u64 deny;
};

#define NW_MAX_GLOBS_PER_NODE 16
struct nw_name_node {
  struct nw_masks masks[2]; /* [0]: the exact name, or one label below; [1]: deeper */
  __u16 globs[NW_MAX_GLOBS_PER_NODE];
  __u8 glob_count;
  __u8 labels; /* of this node's own name */
  __u16 reserved[3];
};
NW_ASSERT_SIZE(struct nw_name_node, 88);

struct nw_glob_key {
  __u32 policy_id;
  __u32 index;
};
/* The pattern over the reversed name: '+' a whole label, '*' any characters inside a label, '#' one label or more to
 * the end, everything else itself; ends with '\0'. */
struct nw_glob {
  struct nw_masks masks;
  __u8 pattern[256];
};
NW_ASSERT_SIZE(struct nw_glob, 280);

/* The family comes before the address, so that ::/16 does not cover the v4-mapped addresses. */
struct nw_address_key {
  __u32 prefixlen; /* bits from policy_id on */
  __u32 policy_id;
  __u32 family; /* 4 or 6 */
  __u32 address[4];
};
NW_ASSERT_SIZE(struct nw_address_key, 28);

struct nw_address_node {
  __u64 allow;
  __u64 deny;
  __u64 host_deny;
};

/* ---- learned ---- */
#define NW_SLOTS_PER_BUCKET 8
/* deadline 0: never used; NW_DEADLINE_BUSY: being written; <= now: remembered, free to be claimed by cmpxchg. */
#define NW_DEADLINE_BUSY 1ULL
#define NW_DEADLINE_DEAD 2ULL /* of a name: marked by the reaper, about to be deleted */

struct nw_grant {
  __u64 deadline;
  __u64 ports; /* mask word */
  __u64 name_id;
  __u32 address[4];
  __u32 owner; /* workload id: whose it is where several share the tables */
  __u32 use;   /* NW_USE_... */
};
NW_ASSERT_SIZE(struct nw_grant, 48);

/* Connects and first sends it allowed; they stop counting at NW_USE_HITS_MAX, so that CPUs that count at the same time
 * cannot reach the next bit. */
#define NW_USE_HITS ((1u << 24) - 1)
#define NW_USE_HITS_MAX (NW_USE_HITS - (1u << 16))
#define NW_USE_PRIVATE (1u << 24)
#define NW_USE_NOTE_SHIFT 25 /* nw_reason: why it was remembered without being granted; 0 for a grant */
#define NW_USE_NOTE(use) ((use) >> NW_USE_NOTE_SHIFT)
#define NW_MAKE_USE(note, is_private) (((__u32)(note) << NW_USE_NOTE_SHIFT) | ((is_private) ? NW_USE_PRIVATE : 0u))

/* Of the slots of a bucket that several workloads share, one may hold so many. */
#define NW_POOL_SHARE (NW_SLOTS_PER_BUCKET / 2)
/* Workload ids that the programs give to children without tables of their own; user space gives the ones below. */
#define NW_FIRST_POOLED_ID (1u << 31)

struct nw_grant_bucket {
  __u32 tags[NW_SLOTS_PER_BUCKET]; /* of the slots' addresses: a lookup reads one line before it reads a slot */
  struct nw_grant slots[NW_SLOTS_PER_BUCKET];
};
NW_ASSERT_SIZE(struct nw_grant_bucket, 416);

#define NW_WINDOW_WORDS 32
/* A reversed name right-justified in 256 bytes, zeros before it. */
struct nw_window {
  __u64 words[NW_WINDOW_WORDS];
};

struct nw_name {
  __u64 id; /* first, so that a reader of freed and reused memory notices */
  __u64 deadline;
  __u64 ports;         /* mask word */
  __u64 private_ports; /* mask word */
  __u32 length;
  __u32 labels;
  struct nw_window window;
};
NW_ASSERT_SIZE(struct nw_name, 296);

/* ---- the DNS proxy ----
 * Its places: 127.0.0.1 for an IPv4 resolver, ::1 for an IPv6 one, a port for each resolver. */
struct nw_proxy_key { /* -> __u32, the place's port */
  __u64 netns_cookie;
  __u32 address[4]; /* of the resolver */
  __u16 port;
  __u16 protocol; /* NW_PROTOCOL_... */
  __u32 reserved;
};
NW_ASSERT_SIZE(struct nw_proxy_key, 32);

struct nw_proxy_port_key { /* -> struct nw_resolver */
  __u64 netns_cookie;
  __u16 port; /* of the place */
  __u16 family; /* 4 or 6 */
  __u16 protocol;
  __u16 reserved;
};
NW_ASSERT_SIZE(struct nw_proxy_port_key, 16);

/* Bits 16 to 31 of the mark of a packet to a place: the innermost workload's token. */
#define NW_MARK_TOKEN(token) ((__u32)(token) << 16)
#define NW_MARK_OTHERS 0xffffu
#define NW_ASKER_MESSAGE 512 /* bytes; a longer message has no entry in `proxy_askers` */

struct nw_asker_key {
  __u64 netns_cookie;
  __u64 hash; /* nw_message_hash of the DNS message, keyed */
  __u32 address[4]; /* the packet's source */
  __u16 port;
  __u16 reserved[3];
};
NW_ASSERT_SIZE(struct nw_asker_key, 40);

struct nw_asker {
  __u64 cgroup_id; /* of the workload */
  __u64 socket_cookie;
  __u64 time;
};

/* A workload of another layer that may lie below one of this layer. */
struct nw_deeper {
  __u16 token;
  __u16 is_template; /* its children's tokens are not known here */
  __u32 reserved;
};

/* ---- lessons: what a run of namewall_teach reads ----
 * Behind NW_LESSON_AT bytes that a packet program needs to run at all, for each lesson: the head, then `count` grants.
 * A run returns how many lessons are in the tables, and the reason for which the next one is not. */
#define NW_LESSON_AT 16
#define NW_LESSON_GRANTS 64     /* of one lesson */
#define NW_LESSONS 16           /* of one run, */
#define NW_LESSONS_BYTES 3584   /* with all it holds: the kernel takes a page, less room of its own, on every machine */
#define NW_LESSONS_DONE_SHIFT 8 /* of what is returned */
#define NW_LESSON_REASON 0xffu
#define NW_LESSON_PUT (1u << 0) /* the name and the grants into the tables */
#define NW_LESSON_REPLACE \
  (1u << 1) /* live grants of the name, from `first` to `last`, that are not given here end now */

struct nw_lesson_head {
  __u32 what;  /* NW_LESSON_... */
  __u32 count; /* of grants */
  /* of the workload */
  __u32 slot;
  __u32 workload_id;
  __u32 flags; /* NW_FLAG_POOLED counts */
  __u32 bucket_count;
  __u64 seed;
  /* of the name */
  __u64 deadline;
  __u64 ports;         /* mask word */
  __u64 private_ports; /* mask word */
  __u32 length;
  __u32 labels;
  __u32 first[4]; /* of a replacement: addresses, compared byte by byte */
  __u32 last[4];
  struct nw_window window;
};
NW_ASSERT_SIZE(struct nw_lesson_head, 64 + 32 + 256);

struct nw_lesson_grant {
  __u64 deadline;
  __u32 address[4];
  __u32 note; /* nw_reason; 0: a grant */
  __u32 is_private;
};
NW_ASSERT_SIZE(struct nw_lesson_grant, 32);

/* ---- counters, per workload slot ---- */
#define NW_COUNTERS(X)                                                             \
  X(QUESTIONS, "questions")               /* that passed */                        \
  X(ANSWERS, "answers")                   /* that were read */                     \
  X(LEARNED, "learned")                   /* grants made */                        \
  X(REFRESHED, "refreshed")               /* grants extended */                    \
  X(NAMES_LEARNED, "names_learned")                                                \
  X(NAMES_REJUDGED, "names_rejudged")     /* after a policy replacement */         \
  X(NAMES_REAPED, "names_reaped")                                                  \
  X(REAP_SCANS, "reap_scans")             /* that a learner at its bound made */   \
  X(CHAIN_MISSES, "chain_misses")         /* records off the chain */              \
  X(EVENTS, "events")                                                              \
  X(EVENTS_LIMITED, "events_limited")     /* left out by the workload's rate */    \
  X(EVENTS_LOST, "events_lost")           /* left out because the ring was full */ \
  X(HELPER_FAILURES, "helper_failures")   /* a BPF helper failed where none should */ \
  X(ALLOWED_BY_AUDIT, "allowed_by_audit")                                          \
  X(CHILDREN, "children")                 /* of a template, that appeared */       \
  X(CHILDREN_POOLED, "children_pooled")   /* of these: without tables of their own */
#define NW_COUNTER_ENUM(symbol, code) NW_COUNTER_##symbol,
enum nw_counter { NW_COUNTERS(NW_COUNTER_ENUM) NW_COUNTER_COUNT };
#undef NW_COUNTER_ENUM

#define NW_EVENTS_PER_WINDOW 256 /* events of one workload in one window of 2^30 ns */

struct nw_stats {
  __u64 reasons[64];
  __u64 counters[32];
  __u64 window;       /* of the event rate: boot time >> 30 */
  __u64 window_count;
  __u64 left_out;     /* since the last event */
  __u64 next_reap;    /* no scan for expired names before this time: none can have expired */
  __u64 fresh_window; /* of the fresh names: boot time >> 30 */
  __u64 fresh_count;
  __u64 proxied_window; /* of the datagrams to the proxy: boot time >> 30 */
  __u64 proxied_count;
};
NW_ASSERT_SIZE(struct nw_stats, 832);
#ifdef __cplusplus
static_assert(NW_REASON_COUNT <= 64 && NW_COUNTER_COUNT <= 32, "room in nw_stats");
#else
_Static_assert(NW_REASON_COUNT <= 64 && NW_COUNTER_COUNT <= 32, "room in nw_stats");
#endif

/* ---- events ---- */
enum nw_hook {
  NW_HOOK_CONNECT,
  NW_HOOK_SEND,
  NW_HOOK_QUESTION,
  NW_HOOK_ANSWER,
  NW_HOOK_PACKET,
  NW_HOOK_SOCKET,
  NW_HOOK_BIND,
  NW_HOOK_INBOUND,
};

#define NW_EVENT_PACKET 600 /* bytes of a refused question's packet that are kept */

struct nw_event {
  __u64 time;
  __u64 cgroup_id; /* of the workload */
  __u64 netns_cookie;
  __u64 left_out;
  __s64 expired_for; /* ns, of NW_REASON_EXPIRED */
  __u32 workload_id;
  __u32 generation;
  __u32 pid;
  __u32 uid;
  __u32 address[4];
  __u16 port;
  __u16 question_type;
  __u8 hook;
  __u8 reason;
  __u8 audit;
  __u8 ip_protocol;
  __u8 command[16];
  __u32 name_length; /* of `window`; 0: no name */
  __u32 packet_length;
  struct nw_window window;
  __u8 packet[NW_EVENT_PACKET];
};
NW_ASSERT_SIZE(struct nw_event, 40 + 16 + 16 + 8 + 16 + 8 + 256 + 600);

#endif
