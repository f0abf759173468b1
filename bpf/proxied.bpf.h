/* Packets between a workload's sockets and the DNS proxy's places: whose they are, on the way out; that they answer a
 * question of the very socket, on the way in. What they say is the proxy's to read. */
#ifndef NAMEWALL_BPF_PROXIED_BPF_H
#define NAMEWALL_BPF_PROXIED_BPF_H

#include "bpf/proxy.bpf.h"
#include "bpf/question.bpf.h"

/* Volatile, or the compiler writes half of the field, which the verifier refuses. */
static __always_inline void set_token(struct __sk_buff* skb, __u16 token) {
  *(volatile __u32*)&skb->mark = (*(volatile __u32*)&skb->mark & NW_MARK_OTHERS) | NW_MARK_TOKEN(token);
}

struct message_hash {
  struct scratch* s;
  __u64 hash;
};

static long hash_step(__u32 i, struct message_hash* message) {
  message->hash = nw_message_step(message->hash, *(__u64*)&message->s->packet[(i * 8) & (NW_ASKER_MESSAGE - 1)]);
  return 0;
}

/* Writes down who sends this message. What has no entry is refused by the proxy. */
__noinline int note_asker(struct __sk_buff* skb, struct nw_workload* w, struct packet* p) {
  if (!w || !p) return 0;
  __u32 first = 0, length = skb->len, message = p->transport + UDP_HEADER;
  __u64* secret = bpf_map_lookup_elem(&proxy_secret, &first);
  if (!secret || length <= message || length > message + NW_ASKER_MESSAGE) return 0;
  struct scratch* s = claim_scratch(SCRATCH_EGRESS);
  if (!s) return 0;
  length -= message;
  if (length < 1 || length > NW_ASKER_MESSAGE || bpf_skb_load_bytes(skb, message, s->packet, length)) goto out;
  __builtin_memset(&s->packet[length & 1023], 0, 8);
  struct message_hash hash = {.s = s, .hash = *secret ^ length};
  SHORT_LOOP(NW_ASKER_MESSAGE / 8, (length + 7) / 8, hash_step, &hash);
  struct local_end from = {};
  read_local(skb, &from, p->transport, 1);
  struct nw_asker_key key = {.netns_cookie = netns_cookie_of(skb), .hash = hash.hash, .port = from.port};
  __builtin_memcpy(key.address, from.address, sizeof(key.address));
  struct nw_asker asker = {
      .cgroup_id = w->cgroup_id, .socket_cookie = bpf_get_socket_cookie(skb), .time = bpf_ktime_get_boot_ns()};
  if (bpf_map_update_elem(&proxy_askers, &key, &asker, BPF_ANY)) count(w, NW_COUNTER_HELPER_FAILURES);
out:
  release_scratch(s);
  return 0;
}

/* Whether an armed workload below this one has put its own token into the mark: its programs ran before. The deepest
 * one counts. Other bits than it would write are somebody else's. */
__noinline int is_marked_below(struct __sk_buff* skb, struct nw_workload* w) {
  if (!w) return 0;
  int marked = 0;
  __u32 level = w->cgroup_level, token = *(volatile __u32*)&skb->mark >> 16;
  __u64 id = bpf_skb_ancestor_cgroup_id(skb, level + 1);
  for (__u32 i = 2; i < CGROUP_LEVELS + 2 && id; i++) {
    __u64 below = bpf_skb_ancestor_cgroup_id(skb, level + i);
    struct nw_deeper* deeper = bpf_map_lookup_elem(&deeper_workloads, &id);
    if (deeper && deeper->is_template) {
      if (below) marked = 1; /* the template's own processes are not its workloads */
    } else if (deeper) {
      marked = deeper->token == token;
    }
    id = below;
  }
  return marked;
}

/* Makes known to the proxy whose the packet is, whatever the workload had put into the mark. */
__noinline int attribute(struct __sk_buff* skb, struct nw_workload* w, struct packet* p) {
  if (!w || !p) return 0;
  if (!is_marked_below(skb, w)) set_token(skb, w->token);
  if (!w->token) note_asker(skb, w, p);
  return 0;
}

/* ---- the questions to places that wait for an answer: a print each, of the DNS id and the place ---- */

#define PRINT_ROOM 16 /* of those of `more_questions` that a print may take */

static __always_inline __u32 print_of(const struct nw_workload* w, struct packet* p, __u16 id) {
  __u32 print = nw_mix(w->seed, (__u64)place_of(w, p->address, p->port) << 16 | id) >> 32;
  return print ? print : 1;
}

__noinline int remember_proxied(struct __sk_buff* skb, struct socket_state* state, __u32 print) {
  if (!state) return 0;
  for (__u32 i = 0; i < PENDING_QUESTIONS; i++) {
    __u32* place = &state->questions[i].proxied;
    if (!READ_ONCE(*place) && __sync_val_compare_and_swap(place, 0, print) == 0) return 1;
  }
  struct bpf_sock* sk = skb->sk;
  if (sk) sk = bpf_sk_fullsock(sk);
  struct more_questions* more = sk ? bpf_sk_storage_get(&more_questions, sk, 0, BPF_SK_STORAGE_GET_F_CREATE) : 0;
  if (!more) return 0;
  for (__u32 i = 0; i < PRINT_ROOM; i++) {
    __u32* place = &more->prints[(print + i) & (MORE_QUESTIONS - 1)];
    if (!READ_ONCE(*place) && __sync_val_compare_and_swap(place, 0, print) == 0) return 1;
  }
  __sync_lock_test_and_set(&more->prints[print & (MORE_QUESTIONS - 1)], print);
  return 1;
}

/* One for each time that it was remembered. */
__noinline int take_proxied(struct __sk_buff* skb, struct socket_state* state, __u32 print) {
  if (!state) return 0;
  for (__u32 i = 0; i < PENDING_QUESTIONS; i++) {
    __u32* place = &state->questions[i].proxied;
    if (READ_ONCE(*place) == print && __sync_val_compare_and_swap(place, print, 0) == print) return 1;
  }
  struct bpf_sock* sk = skb->sk;
  if (sk) sk = bpf_sk_fullsock(sk);
  struct more_questions* more = sk ? bpf_sk_storage_get(&more_questions, sk, 0, 0) : 0;
  if (!more) return 0;
  for (__u32 i = 0; i < PRINT_ROOM; i++) {
    __u32* place = &more->prints[(print + i) & (MORE_QUESTIONS - 1)];
    if (READ_ONCE(*place) == print && __sync_val_compare_and_swap(place, print, 0) == print) return 1;
  }
  return 0;
}

/* All workloads of a network namespace share the sockets of the places, and the proxy's one thread reads even what it
 * refuses: so many datagrams in 2^30 ns pass. */
static __always_inline int proxied_rate_allows(const struct nw_workload* w) {
  if (!w->proxied_per_second) return 1;
  struct nw_stats* st = stats_of(w);
  if (!st) return 0;
  __u64 window = bpf_ktime_get_boot_ns() >> 30, seen = st->proxied_window;
  if (seen != window && __sync_val_compare_and_swap(&st->proxied_window, seen, window) == seen)
    __sync_lock_test_and_set(&st->proxied_count, 0);
  return __sync_fetch_and_add(&st->proxied_count, 1) < w->proxied_per_second;
}

/* A datagram to the place of `resolver`, attributed already. */
__noinline int judge_proxied(struct __sk_buff* skb, struct nw_workload* w, struct packet* p, struct socket_state* state,
                             struct nw_resolver* resolver) {
  if (!w || !p || !state || !resolver) return 0;
  if (!trusts(w, resolver)) return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_UNTRUSTED_RESOLVER);
  if (!(state->flags & SOCKET_NETNS_TRUSTED) && !is_listed_netns(w, netns_cookie_of(skb)))
    return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_UNTRUSTED_NETNS);
  if (skb->gso_segs > 1 || skb->gso_size)
    return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_SEGMENTED);
  if (!proxied_rate_allows(w)) { /* audit mode, too: the bound protects neighbours */
    refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUERY_RATE);
    return 0;
  }
  __u16 id;
  if (bpf_skb_load_bytes(skb, p->transport + UDP_HEADER, &id, sizeof(id))) return 1; /* nothing answers it */
  if (remember_proxied(skb, state, print_of(w, p, id))) return 1;
  return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_NO_SLOT);
}

/* A datagram from a place: one for each question that this socket sent there. */
__noinline int judge_proxied_answer(struct __sk_buff* skb, struct nw_workload* w, struct packet* p,
                                    struct socket_state* state) {
  if (!w || !p || !state) return 0;
  __u16 id;
  if (!bpf_skb_load_bytes(skb, p->transport + UDP_HEADER, &id, sizeof(id)) &&
      take_proxied(skb, state, print_of(w, p, id)))
    return 1;
  return refuse_packet(skb, w, p, state, NW_HOOK_ANSWER, NW_REASON_ANSWER_UNSOLICITED);
}

#endif
