/* A DNS question on its way out: read once, from memory that cannot change, judged by name, remembered in its socket.
 */
#ifndef NAMEWALL_BPF_QUESTION_BPF_H
#define NAMEWALL_BPF_QUESTION_BPF_H

#include "bpf/name_walk.bpf.h"
#include "bpf/peers.bpf.h"
#include "bpf/socket_trust.bpf.h"

#define MAX_QUESTION 512
#define MIN_QUESTION 18 /* header, one-letter name, type, class */
#define MAX_OPTIONS 16
#define TYPE_OPT 41
#define CLASS_IN 1

static long option_step(__u32 i, struct walk* walk) {
  struct scratch* s = walk->s;
  if (s->offset == s->length) {
    s->done = 1;
    return 1;
  }
  if (s->offset + 4 > s->length) return stop_walk(s, WALK_SHORT);
  s->offset += 4 + packet_u16(s, s->offset + 2);
  if (s->offset > s->length) return stop_walk(s, WALK_SHORT);
  return 0;
}

/* One OPT from `offset` to the end of the message (RFC 6891): root owner, at most MAX_OPTIONS options that fill it. */
static __always_inline int is_one_opt(struct scratch* s, __u32 offset) {
  if (offset + 11 > s->length) return 0;
  if (s->packet[offset & (PACKET_BYTES - 1)] != 0 || packet_u16(s, offset + 1) != TYPE_OPT) return 0;
  if (offset + 11 + packet_u16(s, offset + 9) != s->length) return 0;
  begin_walk(s, offset + 11);
  struct walk walk = {s};
  LONG_LOOP(MAX_OPTIONS + 1, option_step, &walk);
  return s->done;
}

/* The whole message in `packet` is one well-formed question; its name is in the window, its type in *type. */
__noinline int read_question(struct scratch* s) {
  if (!s) return 0;
  /* QR, opcode and TC are 0; one question; no answers, no authority; at most one additional record. */
  if ((packet_u16(s, 2) & 0xfa00) || packet_u16(s, 4) != 1 || packet_u16(s, 6) || packet_u16(s, 8)) return 0;
  __u32 additional = packet_u16(s, 10);
  if (additional > 1 || !walk_question(s)) return 0;
  __u32 offset = s->offset;
  if (offset + 4 > s->length || packet_u16(s, offset + 2) != CLASS_IN) return 0;
  s->cursor = offset;
  if (additional == 0) return offset + 4 == s->length;
  return is_one_opt(s, offset + 4);
}

/* Takes a place of eight in the question's socket: the oldest gives way. */
static __always_inline int remember_question(struct scratch* s, struct nw_workload* w, struct packet* p,
                                             struct socket_state* state, __u16 type, __u16 question_state) {
  __u64 oldest = ~0ULL;
  __u32 chosen = PENDING_QUESTIONS;
#pragma unroll
  for (__u32 i = 0; i < PENDING_QUESTIONS; i++) {
    __u64 time = READ_ONCE(state->questions[i].time);
    if (time == NW_DEADLINE_BUSY || time >= oldest) continue;
    oldest = time;
    chosen = i;
  }
  if (chosen >= PENDING_QUESTIONS) return 0;
  struct pending_question* q = &state->questions[chosen & (PENDING_QUESTIONS - 1)];
  if (__sync_val_compare_and_swap(&q->time, oldest, NW_DEADLINE_BUSY) != oldest) return 0;
  q->name_id = s->name_id;
  q->ports = MAKE_WORD(w->generation, s->allow);
  q->private_ports = MAKE_WORD(w->generation, s->allow_private);
  q->place = place_of(w, p->address, p->port);
  q->id = packet_u16(s, 0);
  q->type = type;
  q->state = question_state;
  __sync_lock_test_and_set(&q->time, s->now);
  return 1;
}

static __always_inline void describe_packet(struct refusal* r, struct __sk_buff* skb, struct packet* p,
                                            struct socket_state* state) {
  r->netns_cookie = netns_cookie_of(skb);
  r->port = p->port;
  r->ip_protocol = p->protocol;
  __builtin_memcpy(r->address, p->address, sizeof(r->address));
  if (!state) return;
  r->pid = state->pid;
  r->uid = state->uid;
  __builtin_memcpy(r->command, state->command, sizeof(r->command));
}

/* Counts and reports a refused packet. `state`: of its socket, where known. 1: audit lets it pass. */
__noinline int report_packet(struct __sk_buff* skb, struct nw_workload* w, struct packet* p, struct socket_state* state,
                             __u32 hook_and_reason) {
  if (!w || !p) return 0;
  struct refusal r = {.hook = (__u8)(hook_and_reason >> 8), .reason = (__u8)hook_and_reason};
  describe_packet(&r, skb, p, state);
  report_refusal(w, &r);
  return refused(w);
}

static __always_inline int refuse_packet(struct __sk_buff* skb, struct nw_workload* w, struct packet* p,
                                         struct socket_state* state, enum nw_hook hook, enum nw_reason reason) {
  return report_packet(skb, w, p, state, hook << 8 | reason) != 0;
}

/* Reports a refusal about the name in the window: s->report_hook, s->report_reason, s->report_type. The packet of a
 * refused question goes along, so that the agent can answer it. */
__noinline int report_name(struct __sk_buff* skb, struct nw_workload* w, struct packet* p, struct socket_state* state,
                           struct scratch* s) {
  if (!w || !p || !state || !s) return 0;
  struct refusal r = {
      .hook = (__u8)s->report_hook, .reason = (__u8)s->report_reason, .question_type = (__u16)s->report_type};
  describe_packet(&r, skb, p, state);
  struct nw_event* e = begin_event(w, &r);
  if (!e) return 0;
  copy_window(&e->window, window_of(s));
  e->name_length = s->name_length;
  __u32 length = skb->len;
  if (r.hook == NW_HOOK_QUESTION && length > 0 && length <= NW_EVENT_PACKET &&
      bpf_skb_load_bytes(skb, 0, e->packet, length) == 0)
    e->packet_length = length;
  bpf_ringbuf_submit(e, 0);
  return 0;
}

static __always_inline void report_about_name(struct __sk_buff* skb, struct nw_workload* w, struct packet* p,
                                              struct socket_state* state, struct scratch* s, enum nw_hook hook,
                                              enum nw_reason reason, __u16 type) {
  s->report_hook = hook;
  s->report_reason = reason;
  s->report_type = type;
  report_name(skb, w, p, state, s);
}

/* Names that a wildcard covers and that nothing is known of can carry data out: so many questions for such in 2^30 ns
 * pass. */
static __always_inline int fresh_rate_allows(const struct nw_workload* w, __u64 now) {
  if (!w->fresh_per_second) return 1;
  struct nw_stats* st = stats_of(w);
  if (!st) return 0;
  __u64 window = now >> 30, seen = st->fresh_window;
  if (seen != window && __sync_val_compare_and_swap(&st->fresh_window, seen, window) == seen)
    __sync_lock_test_and_set(&st->fresh_count, 0);
  return __sync_fetch_and_add(&st->fresh_count, 1) < w->fresh_per_second;
}

__noinline int judge_question(struct __sk_buff* skb, struct nw_workload* w, struct packet* p,
                              struct socket_state* state) {
  if (!w || !p || !state) return 0;
  /* The policy is not for this kernel (choose_learning): no question is read. */
  if (!has_loop) return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_BUSY);
  __u32 length = skb->len, message = p->transport + UDP_HEADER;
  if (skb->gso_segs > 1 || skb->gso_size)
    return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_SEGMENTED);
  /* All of it in the linear part: pages could still be written by the sender (MSG_ZEROCOPY, splice). */
  if ((__u32)((long)skb->data_end - (long)skb->data) != length)
    return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_NOT_LINEAR);
  if (length < message + MIN_QUESTION || length > message + MAX_QUESTION)
    return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_MALFORMED);
  if (!(state->flags & SOCKET_NETNS_TRUSTED) && !is_listed_netns(w, netns_cookie_of(skb)))
    return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_UNTRUSTED_NETNS);
  struct scratch* s = claim_scratch(SCRATCH_EGRESS);
  if (!s) return refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_BUSY);
  int verdict = 0;
  length -= message;
  length &= 1023;
  if (length < MIN_QUESTION || bpf_skb_load_bytes(skb, message, s->packet, length)) {
    verdict = refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_MALFORMED);
    goto out;
  }
  s->length = length;
  s->hash_seed = w->seed;
  if (!read_question(s)) {
    verdict = refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_MALFORMED);
    goto out;
  }
  __u16 type = packet_u16(s, s->cursor);
  s->name_id = nw_name_id(window_of(s), w->seed);
  s->now = bpf_ktime_get_boot_ns();
  enum nw_reason refusal = NW_REASON_NONE;
  if (recall_name(s, w) ? !(s->allow & NW_ASK_BIT) : !decide_name(s, w->policy_id))
    refusal = NW_REASON_NAME_NOT_ALLOWED;
  else if (!s->is_known && !s->is_listed && !fresh_rate_allows(w, s->now))
    refusal = NW_REASON_FRESH_NAMES;
  int passes = !refusal || w->mode == NW_MODE_AUDIT;
  if (!remember_question(s, w, p, state, type, passes ? QUESTION_ASKED : QUESTION_REFUSED)) {
    verdict = refuse_packet(skb, w, p, state, NW_HOOK_QUESTION, NW_REASON_QUESTION_NO_SLOT);
    goto out;
  }
  if (refusal)
    report_about_name(skb, w, p, state, s, NW_HOOK_QUESTION, refusal, type);
  else
    count(w, NW_COUNTER_QUESTIONS);
  verdict = passes;
out:
  release_scratch(s);
  return verdict;
}

#endif
