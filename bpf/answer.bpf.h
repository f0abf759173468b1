/* A DNS answer on its way in. It must answer a pending question of its own socket; the addresses that its chain reaches
 * are in the tables before the packet reaches the socket, or the packet is dropped. policy/dns_message.h and
 * answer_chain.h state the rules. */
#ifndef NAMEWALL_BPF_ANSWER_BPF_H
#define NAMEWALL_BPF_ANSWER_BPF_H

#include "bpf/egress.bpf.h"
#include "bpf/special_use.bpf.h"

#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_AAAA 28

/* Reads the record at the cursor; A, AAAA and CNAME records of class IN are kept. 1: malformed. */
static __always_inline int read_record(struct scratch* s) {
  __u32 offset = s->cursor;
  if (!walk_name(s, offset)) return 1;
  __u64 owner = s->hash;
  __u32 fixed = s->first_end;
  if (fixed + 10 > s->length) return 1;
  __u32 type = packet_u16(s, fixed), class = packet_u16(s, fixed + 2), ttl = packet_u32(s, fixed + 4);
  __u32 size = packet_u16(s, fixed + 8), data = fixed + 10;
  if (data + size > s->length) return 1;
  s->cursor = data + size;
  if (class != CLASS_IN || (type != TYPE_A && type != TYPE_AAAA && type != TYPE_CNAME)) return 0;
  __u64 target = 0;
  if (type == TYPE_A && size != 4) return 1;
  if (type == TYPE_AAAA && size != 16) return 1;
  if (type == TYPE_CNAME) {
    if (size == 0 || !walk_name(s, data) || s->first_end > data + size) return 1;
    target = s->hash;
  } else {
    s->has_addresses = 1;
  }
  __u32 index = s->record_count;
  if (index >= MAX_RECORDS) return 1;
  struct record* r = &s->records[index & (MAX_RECORDS - 1)];
  r->owner = owner;
  r->target = target;
  r->ttl = ttl & 0x80000000 ? 0 : ttl; /* RFC 2181 section 8 */
  r->type = (__u16)type;
  r->data = (__u16)data;
  r->reached = owner == s->question_hash;
  r->path_ttl = r->ttl;
  r->expanded = 0;
  s->record_count = index + 1;
  return 0;
}

static long record_step(__u32 i, struct walk* walk) {
  struct scratch* s = walk->s;
  if (read_record(s)) {
    s->error = WALK_SHORT;
    s->failure = NW_REASON_ANSWER_MALFORMED;
    return 1;
  }
  return 0;
}

static long find_alias(__u32 i, struct walk* walk) {
  struct scratch* s = walk->s;
  struct record* r = &s->records[i & (MAX_RECORDS - 1)];
  if (r->type != TYPE_CNAME || !r->reached || r->expanded) return 0;
  r->expanded = 1;
  s->alias = r->target;
  s->alias_ttl = r->path_ttl;
  s->next_alias = i;
  return 1;
}

static long reach_records(__u32 i, struct walk* walk) {
  struct scratch* s = walk->s;
  struct record* r = &s->records[i & (MAX_RECORDS - 1)];
  if (r->reached || r->owner != s->alias) return 0;
  r->reached = 1;
  if (s->alias_ttl < r->path_ttl) r->path_ttl = s->alias_ttl;
  return 0;
}

static long alias_step(__u32 i, struct walk* walk) {
  struct scratch* s = walk->s;
  s->next_alias = NOWHERE;
  LONG_LOOP(s->record_count, find_alias, walk);
  if (s->next_alias == NOWHERE) return 1;
  LONG_LOOP(s->record_count, reach_records, walk);
  return 0;
}

/* Reads the answer section and marks the records that belong to the question. 0: malformed, see `failure`. */
__noinline int read_answers(struct scratch* s, __u32 answer_count) {
  if (!s) return 0;
  s->record_count = 0;
  s->has_addresses = 0;
  s->failure = NW_REASON_ANSWER_MALFORMED;
  if (answer_count > MAX_RECORDS) return 0;
  s->failure = NW_REASON_NONE;
  s->known_offset = NOWHERE;
  s->known_hops = 0;
  struct walk walk = {s};
  LONG_LOOP(answer_count, record_step, &walk);
  if (s->failure) return 0;
  LONG_LOOP(MAX_ALIASES, alias_step, &walk);
  return 1;
}

struct teach {
  struct scratch* s;
  struct nw_workload* w;
};

static __always_inline __u64 deadline_of(const struct nw_workload* w, __u32 ttl, __u64 now) {
  if (w->flags & NW_FLAG_RETAIN_WORKLOAD) return WITHOUT_END;
  __u64 life = (__u64)ttl * SECOND;
  if (life < w->min_ttl) life = w->min_ttl;
  if (life > w->max_ttl) life = w->max_ttl;
  return now + life + w->grace;
}

static long last_deadline_step(__u32 i, struct teach* teach) {
  struct scratch* s = teach->s;
  struct record* r = &s->records[i & (MAX_RECORDS - 1)];
  if (!r->reached || r->type == TYPE_CNAME) return 0;
  __u64 deadline = deadline_of(teach->w, r->path_ttl, s->now);
  if (deadline > s->last_deadline) s->last_deadline = deadline;
  return 0;
}

static __always_inline int carries_own(struct scratch* s, __u32 v4_in_host_order) {
  s->own.address[0] = 0;
  s->own.address[1] = 0;
  s->own.address[2] = MAPPED_WORD;
  s->own.address[3] = bpf_htonl(v4_in_host_order);
  return bpf_map_lookup_elem(&own_addresses, &s->own) != 0;
}

/* Whether `own` is one of the host's addresses, or a NAT64, Teredo or 6to4 form of one. */
__noinline int is_own_address(struct scratch* s) {
  if (!s || bpf_map_lookup_elem(&own_addresses, &s->own)) return 1;
  __u32 w0 = bpf_ntohl(s->own.address[0]), w1 = bpf_ntohl(s->own.address[1]);
  __u32 w2 = bpf_ntohl(s->own.address[2]), w3 = bpf_ntohl(s->own.address[3]);
  if (w0 == 0x0064ff9b && w1 == 0 && w2 == 0) return carries_own(s, w3);
  if (w0 == 0x20010000) return carries_own(s, w1) || carries_own(s, ~w3);
  if ((w0 & 0xffff0000) == 0x20020000) return carries_own(s, (w0 << 16) | (w1 >> 16));
  return 0;
}

/* Turns one reached address record into a grant, or into a note of why it is none. */
static long teach_step(__u32 i, struct teach* teach) {
  struct scratch* s = teach->s;
  struct nw_workload* w = teach->w;
  struct record* r = &s->records[i & (MAX_RECORDS - 1)];
  if (!r->reached) {
    count(w, NW_COUNTER_CHAIN_MISSES);
    return 0;
  }
  if (r->type == TYPE_CNAME) return 0;
  struct lesson* l = &s->lesson;
  l->now = s->now;
  l->name_id = s->name_id;
  l->deadline = deadline_of(w, r->path_ttl, s->now);
  l->note = 0;
  l->is_private = 0;
  __u32 data = r->data & (PACKET_BYTES - 1), from_aaaa = r->type == TYPE_AAAA;
  if (from_aaaa) {
    __builtin_memcpy(l->address, &s->packet[data], 16);
  } else {
    l->address[0] = 0;
    l->address[1] = 0;
    l->address[2] = MAPPED_WORD;
    __builtin_memcpy(&l->address[3], &s->packet[data], 4);
  }
  __builtin_memcpy(s->own.address, l->address, sizeof(s->own.address));
  int use = classify_address(&s->own, from_aaaa);
  if (use == USE_NEVER || is_own_address(s)) {
    l->note = NW_REASON_SPECIAL_ANSWER;
  } else if (use == USE_PRIVATE) {
    l->is_private = 1;
    l->word = s->name.private_ports;
    if (!(l->word & NW_PORT_BITS)) l->note = NW_REASON_PRIVATE_ANSWER;
  } else {
    l->word = s->name.ports;
  }
  if (l->note) {
    l->word = 0;
    l->deadline = s->now; /* over from the start: it only explains a refusal, and takes nobody's room */
  }
  if (!put_grant(w, l) && !l->note) {
    s->failure = NW_REASON_GRANTS_FULL;
    return 1;
  }
  return 0;
}

/* Puts what the answer teaches into the tables. NW_REASON_NONE: it may be delivered. */
__noinline int teach_records(struct scratch* s, struct nw_workload* w) {
  if (!s || !w) return NW_REASON_GRANTS_FULL;
  struct teach teach = {s, w};
  s->last_deadline = s->now;
  LONG_LOOP(s->record_count, last_deadline_step, &teach);
  int reason = put_name(s, w);
  if (reason) return reason;
  s->failure = NW_REASON_NONE;
  LONG_LOOP(s->record_count, teach_step, &teach);
  return s->failure;
}

static __always_inline int is_local_place(struct packet* p) {
  return is_loopback(p->address) || bpf_map_lookup_elem(&own_addresses, p->address) != 0;
}

__noinline int judge_answer(struct __sk_buff* skb, struct nw_workload* w, struct packet* p,
                            struct socket_state* state) {
  if (!w || !p || !state) return 0;
  if (!has_loop) return refuse_packet(skb, w, p, state, NW_HOOK_ANSWER, NW_REASON_ANSWER_BUSY);
  __u32 length = skb->len, message = p->transport + UDP_HEADER;
  /* A translated resolver on loopback answers from its own place again. A socket of the workload's own on loopback can
   * come and go between any two checks, so nothing else there teaches. */
  if (is_local_place(p) && !is_resolver(w, (struct ip_address*)p->address, p->port))
    return refuse_packet(skb, w, p, state, NW_HOOK_ANSWER, NW_REASON_ANSWER_UNSOLICITED);
  /* UDP_GRO: answers behind the first would be delivered unread. */
  if (skb->gso_segs > 1) return refuse_packet(skb, w, p, state, NW_HOOK_ANSWER, NW_REASON_ANSWER_MALFORMED);
  if (length < message + MIN_QUESTION)
    return refuse_packet(skb, w, p, state, NW_HOOK_ANSWER, NW_REASON_ANSWER_MALFORMED);
  length -= message;
  if (length > PACKET_BYTES) return refuse_packet(skb, w, p, state, NW_HOOK_ANSWER, NW_REASON_ANSWER_TOO_LONG);
  struct scratch* s = claim_scratch(SCRATCH_INGRESS);
  if (!s) return refuse_packet(skb, w, p, state, NW_HOOK_ANSWER, NW_REASON_ANSWER_BUSY);
  enum nw_reason reason = NW_REASON_NONE;
  if (length < MIN_QUESTION || length > PACKET_BYTES || bpf_skb_load_bytes(skb, message, s->packet, length)) {
    reason = NW_REASON_ANSWER_MALFORMED;
    goto out;
  }
  s->length = length;
  s->hash_seed = w->seed;
  s->now = bpf_ktime_get_boot_ns();
  __u16 id = packet_u16(s, 0), flags = packet_u16(s, 2);
  __u32 place = place_of(w, p->address, p->port);
  struct pending_question* q = 0;
#pragma unroll
  for (__u32 i = 0; i < PENDING_QUESTIONS; i++) {
    struct pending_question* candidate = &state->questions[i];
    if (q || READ_ONCE(candidate->time) <= NW_DEADLINE_BUSY || candidate->id != id) continue;
    /* From where the packet went, or from the resolver that the program named: translation may stand between the
     * two. */
    if (candidate->place == place || state->resolver_place == place) q = candidate;
  }
  if (!q) {
    reason = NW_REASON_ANSWER_UNSOLICITED;
    goto out;
  }
  __u64 asked = READ_ONCE(q->time), name_id = q->name_id;
  __u64 ports = q->ports, private_ports = q->private_ports;
  __u16 type = q->type;
  __u32 question_state = q->state;
  if (!(flags & 0x8000) || (flags & 0x7800) || packet_u16(s, 4) != 1 || !walk_question(s) ||
      s->offset + 4 > s->length || packet_u16(s, s->offset + 2) != CLASS_IN) {
    reason = NW_REASON_ANSWER_MALFORMED;
    goto out;
  }
  s->question_hash = s->hash;
  s->cursor = s->offset + 4;
  s->name_id = nw_name_id(window_of(s), w->seed);
  if (s->name_id != name_id || packet_u16(s, s->offset) != type) {
    reason = NW_REASON_ANSWER_MISMATCH;
    goto out;
  }
  __u32 answer_count = packet_u16(s, 6);
  if (question_state == QUESTION_REFUSED && answer_count) {
    reason = NW_REASON_REFUSAL_ANSWERED;
    goto out;
  }
  /* One answer for one question. */
  if (asked <= NW_DEADLINE_BUSY || __sync_val_compare_and_swap(&q->time, asked, 0) != asked) {
    reason = NW_REASON_ANSWER_UNSOLICITED;
    goto out;
  }
  count(w, NW_COUNTER_ANSWERS);
  if (question_state == QUESTION_REFUSED) goto out;
  if (flags & 0x0200) { /* delivered: the client may know what to do */
    report_about_name(skb, w, p, state, s, NW_HOOK_ANSWER, NW_REASON_ANSWER_TRUNCATED, type);
    goto out;
  }
  if (flags & 0x000f) goto out;
  if (!read_answers(s, answer_count)) {
    reason = s->failure;
    goto out;
  }
  if (WORD_GENERATION(ports) != w->generation) {
    if (!decide_name(s, w->policy_id) && w->mode == NW_MODE_ENFORCE) {
      reason = NW_REASON_ANSWER_WITHDRAWN;
      goto out;
    }
    ports = MAKE_WORD(w->generation, s->allow);
    private_ports = MAKE_WORD(w->generation, s->allow_private);
  }
  if (!s->has_addresses) goto out;
  if (!(ports & NW_PORT_BITS) && w->mode == NW_MODE_ENFORCE) goto out; /* may only be asked */
  s->name.ports = ports;
  s->name.private_ports = private_ports;
  reason = teach_records(s, w);
  if (reason) {
    report_about_name(skb, w, p, state, s, NW_HOOK_ANSWER, reason, type);
    release_scratch(s);
    return refused(w);
  }
out:
  release_scratch(s);
  return reason ? refuse_packet(skb, w, p, state, NW_HOOK_ANSWER, reason) : 1;
}

#endif
