/* Lessons of user space: the grants of one answer, put where those of the kernel path are put, by the same code. Run by
 * BPF_PROG_TEST_RUN; a packet program for the reason of namewall_reap. One run takes several lessons; an answer with
 * more addresses than a lesson holds comes in several. */
#ifndef NAMEWALL_BPF_TEACH_BPF_H
#define NAMEWALL_BPF_TEACH_BPF_H

#include "bpf/answer.bpf.h"
#include "bpf/children.bpf.h"

#define REPLACE_TRIES 4

static __always_inline struct nw_lesson_head* lesson_head(struct scratch* s) { return (void*)s->packet; }

static __always_inline struct nw_lesson_grant* lesson_grant(struct scratch* s, __u32 i) {
  return (void*)&s
      ->packet[sizeof(struct nw_lesson_head) + (i & (NW_LESSON_GRANTS - 1)) * sizeof(struct nw_lesson_grant)];
}

static long lesson_step(__u32 i, struct teach* teach) {
  struct scratch* s = teach->s;
  struct nw_lesson_grant* given = lesson_grant(s, i);
  struct lesson* l = &s->lesson;
  l->now = s->now;
  l->name_id = s->name_id;
  l->deadline = given->deadline;
  l->note = given->note;
  l->is_private = given->is_private;
  l->word = given->is_private ? s->name.private_ports : s->name.ports;
  __builtin_memcpy(l->address, given->address, sizeof(l->address));
  if (l->note) {
    l->word = 0;
    l->deadline = s->now;
  }
  if (!put_grant(teach->w, l) && !l->note) {
    s->failure = NW_REASON_GRANTS_FULL;
    return 1;
  }
  return 0;
}

/* a < b, as byte strings. */
static __always_inline int is_before(const __u32* a, const __u32* b) {
#pragma unroll
  for (int i = 0; i < 4; i++)
    if (a[i] != b[i]) return bpf_ntohl(a[i]) < bpf_ntohl(b[i]);
  return 0;
}

struct kept {
  struct scratch* s;
  __u32 found;
};

static long find_kept(__u32 i, struct kept* kept) {
  struct nw_lesson_grant* given = lesson_grant(kept->s, i);
  kept->found = same_address(given->address, kept->s->own.address) && !given->note;
  return kept->found;
}

/* Ends the slot's grant if the answer no longer has its address. */
__noinline int replace_slot(struct scratch* s, struct nw_workload* w, struct nw_grant* grant) {
  if (!s || !w || !grant) return 0;
  struct nw_lesson_head* head = lesson_head(s);
  for (int i = 0; i < REPLACE_TRIES; i++) { /* the deadline moves when somebody refreshes the grant meanwhile */
    __u64 deadline = READ_ONCE(grant->deadline);
    if (deadline <= s->now || READ_ONCE(grant->owner) != w->workload_id) return 0;
    if (READ_ONCE(grant->name_id) != s->name_id || NW_USE_NOTE(READ_ONCE(grant->use))) return 0;
    __builtin_memcpy(s->own.address, grant->address, sizeof(s->own.address));
    if (is_before(s->own.address, head->first) || is_before(head->last, s->own.address)) return 0;
    struct kept kept = {.s = s, .found = 0};
    LONG_LOOP(s->record_count, find_kept, &kept);
    if (kept.found) return 0;
    if (__sync_val_compare_and_swap(&grant->deadline, deadline, s->now) == deadline) return 1;
  }
  return 0;
}

static long replace_bucket(__u32 i, struct teach* teach) {
  __u32 slot = teach->w->slot, index = i;
  void* buckets = bpf_map_lookup_elem(&grants, &slot);
  struct nw_grant_bucket* bucket = buckets ? bpf_map_lookup_elem(buckets, &index) : 0;
  if (!bucket) return 1;
  for (__u32 at = 0; at < NW_SLOTS_PER_BUCKET; at++)
    if (READ_ONCE(bucket->slots[at].name_id) == teach->s->name_id) replace_slot(teach->s, teach->w, &bucket->slots[at]);
  return 0;
}

/* The lesson in `packet`, for the workload that it describes. NW_REASON_NONE: every grant is in the tables. */
__noinline int teach_lesson(struct scratch* s, struct nw_workload* w) {
  if (!s || !w) return NW_REASON_TEACHING_FAILED;
  struct nw_lesson_head* head = lesson_head(s);
  w->flags = head->flags;
  w->slot = head->slot;
  w->workload_id = head->workload_id;
  w->bucket_count = head->bucket_count;
  w->seed = head->seed;
  copy_window(window_of(s), &head->window);
  s->name_id = nw_name_id(window_of(s), head->seed);
  s->name_length = head->length;
  s->labels = head->labels;
  s->name.ports = head->ports;
  s->name.private_ports = head->private_ports;
  s->last_deadline = head->deadline;
  s->record_count = head->count;
  s->now = bpf_ktime_get_boot_ns();
  s->failure = NW_REASON_NONE;
  struct teach teach = {s, w};
  int replaces = has_loop && (head->what & NW_LESSON_REPLACE);
  if ((head->what & NW_LESSON_PUT) && head->count) {
    s->failure = put_name(s, w);
    if (!s->failure) SHORT_LOOP(NW_LESSON_GRANTS, head->count, lesson_step, &teach);
    /* There may be room in what the answer ends. If not even so, that has ended early: the answer is withheld. */
    if (s->failure == NW_REASON_GRANTS_FULL && replaces) {
      s->failure = NW_REASON_NONE;
      LONG_LOOP(head->bucket_count, replace_bucket, &teach);
      LONG_LOOP(head->count, lesson_step, &teach);
    }
  }
  if ((head->what & NW_LESSON_REPLACE) && !has_loop) s->failure = NW_REASON_TEACHING_FAILED;
  if (replaces && !s->failure) LONG_LOOP(head->bucket_count, replace_bucket, &teach);
  struct nw_stats* st = s->failure ? stats_of(w) : 0;
  if (st) __sync_fetch_and_add(&st->reasons[s->failure & 63], 1);
  return s->failure;
}

struct lessons {
  struct __sk_buff* skb;
  struct scratch* s;
  struct nw_workload* row;
  __u32 at;
  __u32 done;
  int reason;
};

static long next_lesson(__u32 i, struct lessons* all) {
  struct scratch* s = all->s;
  if (all->at >= all->skb->len) return 1;
  all->reason = NW_REASON_TEACHING_FAILED;
  if (bpf_skb_load_bytes(all->skb, all->at, s->packet, sizeof(struct nw_lesson_head))) return 1;
  all->at += sizeof(struct nw_lesson_head);
  __u32 count = lesson_head(s)->count;
  if (count > NW_LESSON_GRANTS) return 1;
  if (count) {
    __u32 bytes = count * sizeof(struct nw_lesson_grant);
    if (bpf_skb_load_bytes(all->skb, all->at, &s->packet[sizeof(struct nw_lesson_head)], bytes)) return 1;
    all->at += bytes;
  }
  all->reason = teach_lesson(s, all->row);
  if (all->reason) return 1;
  all->done++;
  return 0;
}

/* Takes the lessons in their order, up to the first that fails. Returns NW_LESSONS_DONE and NW_LESSON_REASON: how many
 * are in the tables with everything they hold, and why the next one is not (NW_REASON_NONE: there is none). */
SEC("tc")
int namewall_teach(struct __sk_buff* skb) {
  struct lessons all = {.skb = skb, .at = NW_LESSON_AT, .reason = NW_REASON_TEACHING_FAILED};
  all.s = claim_scratch(SCRATCH_INGRESS);
  if (!all.s) return all.reason;
  struct row_buffer* buffer = claim_row_buffer();
  if (!buffer) goto out;
  all.row = &buffer->row;
  bpf_loop(NW_LESSONS, next_lesson, &all, 0);
  __sync_lock_test_and_set(&buffer->busy, 0);
out:
  release_scratch(all.s);
  return all.done << NW_LESSONS_DONE_SHIFT | (all.reason & NW_LESSON_REASON);
}

#endif
