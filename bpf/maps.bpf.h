/* Every map of the backend: key, value, who writes, who reads, bound, and what a miss means. */
#ifndef NAMEWALL_BPF_MAPS_BPF_H
#define NAMEWALL_BPF_MAPS_BPF_H

#include "bpf/abi.h"
#include "bpf/kernel_abilities.bpf.h"

/* cgroup id -> the workload's configuration. Written by user space only, as a whole (the kernel swaps the value under
 * RCU). Read by every program without a lookup. Never missing; zeros deny. */
struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
  __type(key, __u64);
  __type(value, struct nw_workload);
} workloads SEC(".maps");

/* A template's child -> its configuration. Written by user space (a policy of its own), and by the programs when a
 * child does something for the first time (the template's policy, with spare tables) and when the template's policy was
 * replaced. A miss, and no room: the child is refused everything. Deleted by user space, when the cgroup is gone: a
 * pointer to a row stays good for the length of a program, so the row's slot may be given out again one RCU grace
 * period after the delete. */
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __type(key, struct nw_child_key);
  __type(value, struct nw_workload);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} children SEC(".maps");

/* How many children had to share their template's tables: the next one's workload id. Written by the programs. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, __u32);
  __uint(max_entries, 1);
} pooled_ids SEC(".maps");

/* Tables for children that appear. Filled by user space (never to the last place: a program may have to put one back),
 * taken by the programs. Empty: a child shares its template's. */
struct {
  __uint(type, BPF_MAP_TYPE_QUEUE);
  __uint(max_entries, 1);
  __type(value, struct nw_spare);
} spare_tables SEC(".maps");

/* One value, of user space alone. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct nw_ids);
  __uint(max_entries, 1);
} ids SEC(".maps");

/* cgroup id -> a guard. Written by user space as a whole, counted in by the program. Never missing where the program
 * runs; zeros refuse. */
struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
  __type(key, __u64);
  __type(value, struct nw_guard);
} guards SEC(".maps");

/* Armed cgroups, for guards. Written by user space. A miss on every level below the guard: no sockets. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u64);
  __type(value, __u8);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} armed_cgroups SEC(".maps");

/* {policy id, reversed name} -> masks. Written by user space under a fresh policy id. A miss: no rule names it. */
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __type(key, struct nw_name_key);
  __type(value, struct nw_name_node);
  __uint(max_entries, 1 << 20);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} name_rules SEC(".maps");

/* {policy id, index} -> a pattern with inner wildcards. Written by user space. A miss: no match. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct nw_glob_key);
  __type(value, struct nw_glob);
  __uint(max_entries, 1 << 16);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} glob_rules SEC(".maps");

/* {policy id, family, address} -> masks. Written by user space. A miss: no rule names it. */
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __type(key, struct nw_address_key);
  __type(value, struct nw_address_node);
  __uint(max_entries, 1 << 20);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} address_rules SEC(".maps");

struct grant_buckets {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct nw_grant_bucket));
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_INNER_MAP);
};

/* slot -> the workload's grants. Written by ingress (learning). Bound: bucket_count * 8 slots; a full pair of buckets
 * withholds the answer. A miss: nothing is granted. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __type(key, __u32);
  __uint(max_entries, 1);
  __array(values, struct grant_buckets);
} grants SEC(".maps");

struct name_table {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(key_size, sizeof(__u64));
  __uint(value_size, sizeof(struct nw_name));
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_NO_PREALLOC);
};

/* slot -> the names that the workload's grants refer to. Written by ingress (learning) and by whoever judges a name
 * again after a replacement; deleted only by the reaper. A miss: the grant says nothing. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __type(key, __u32);
  __uint(max_entries, 1);
  __array(values, struct name_table);
} names SEC(".maps");

/* slot -> counters and the event rate. Written by every program, read by user space. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct nw_stats);
  __uint(max_entries, 1);
} stats SEC(".maps");

/* {network namespace, resolver, protocol} -> the port of the proxy's place for it. Written by user space. A miss: no
 * proxy is there, and who wants one is refused. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct nw_proxy_key);
  __type(value, __u32);
  __uint(max_entries, 8192);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} proxy_ports SEC(".maps");

/* {network namespace, port, family, protocol} -> the resolver that the place stands for. Written by user space. A miss:
 * the loopback port is no place. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct nw_proxy_port_key);
  __type(value, struct nw_resolver);
  __uint(max_entries, 8192);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} proxy_resolvers SEC(".maps");

/* Who sent a question to a place, of workloads without a token. Written by egress, taken by user space. An entry that
 * had to give way is a question that nobody is known to have asked: the proxy refuses it. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct nw_asker_key);
  __type(value, struct nw_asker);
  __uint(max_entries, 2048);
} proxy_askers SEC(".maps");

/* The key of nw_asker_key::hash. One value, written by user space before anything is armed. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, 1);
} proxy_secret SEC(".maps");

/* cgroup id -> an armed workload of another layer. Written by user space when its programs are there, deleted before
 * they go. A miss: this layer's token stands for who asks. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u64);
  __type(value, struct nw_deeper);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} deeper_workloads SEC(".maps");

struct ip_address {
  __u32 address[4];
};

/* The host's own addresses. Written by user space. A hit: an answer does not teach the address. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct ip_address);
  __type(value, __u8);
  __uint(max_entries, 4096);
} own_addresses SEC(".maps");

/* Events for user space. Full: the event is lost and counted; nothing waits. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} events SEC(".maps");

enum question_state {
  QUESTION_NONE,
  QUESTION_ASKED,
  QUESTION_REFUSED, /* one answer without records may pass for it */
};

struct pending_question {
  __u64 time; /* 0: free; NW_DEADLINE_BUSY: being written; else when it was asked */
  __u64 name_id;
  __u64 ports; /* mask words, as judged when asked */
  __u64 private_ports;
  __u32 place; /* of the packet's wire destination */
  __u16 id;
  __u16 type;
  __u32 state;
  __u32 proxied; /* no part of this question: the print of another one, which went to a place of the proxy; 0: none */
};

#define PENDING_QUESTIONS 8

#define SOCKET_DNS (1u << 0)           /* the hooks saw it going to a trusted resolver: its datagrams are questions */
#define SOCKET_JUDGE_EACH (1u << 1)    /* UDP, connected to an allowed address on another port: judged per packet */
#define SOCKET_NETNS_TRUSTED (1u << 2) /* its network namespace is one whose DNS is trusted */
#define SOCKET_ORDINARY (1u << 3)      /* UDP: the hooks let it go where no resolver is, so translation hides none */
#define SOCKET_CONNECTED (1u << 4)     /* UDP: it was connected to an ordinary destination */
#define SOCKET_EACH_PACKET (1u << 5)   /* UDP: what the hooks judged need not be where a packet goes */

/* What is known of one socket. With the kernel's 72 bytes it fits a 512-byte allocation: each DNS socket pays for one,
 * so addresses are kept as place_of() hashes. The questions lie here so that no neighbour can evict them. Written by
 * the socket's own hooks and packets; freed with the socket. */
struct socket_state {
  __u32 workload_id; /* loopback own: set when it binds; 0: not marked */
  __u32 flags;
  __u32 pid; /* who last sent a question: the packet hooks do not know the task */
  __u32 uid;
  __u8 command[16];
  struct nw_resolver resolver; /* as the program asked for it, before any translation, */
  __u32 resolver_place;        /* and its place_of() */
  struct pending_question questions[PENDING_QUESTIONS];
};
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __type(key, int);
  __type(value, struct socket_state);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} sockets SEC(".maps");

#define MORE_QUESTIONS 512

/* Prints of questions to places of the proxy, of a socket that has more of them unanswered than its state holds. Made
 * with the first of these, written by the socket's own packets, freed with the socket. Bound: MORE_QUESTIONS; where
 * the room that a print may take is full, an older one gives way, and that question's answer is withheld. */
struct more_questions {
  __u32 prints[MORE_QUESTIONS];
};
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __type(key, int);
  __type(value, struct more_questions);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} more_questions SEC(".maps");

struct udp_peer {
  __u64 until; /* may be answered before this time */
  __u32 address[4];
  __u16 port;
  __u16 reserved[3];
};

#define UDP_PEERS 16
#define UDP_ANSWER_TIME (30ULL * 1000000000ULL)

/* The peers whose datagrams a UDP socket received and may answer. Bound: 16 for each socket, the first gives way. */
struct udp_peers {
  __u32 next;
  __u32 reserved;
  struct udp_peer peers[UDP_PEERS];
};
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __type(key, int);
  __type(value, struct udp_peers);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} answerable SEC(".maps");

#endif
