/* Names on the wire: the question's into the window, an owner's or target's into a hash. policy/dns_message states the
 * rules; these walkers follow them byte by byte. */
#ifndef NAMEWALL_BPF_NAME_WALK_BPF_H
#define NAMEWALL_BPF_NAME_WALK_BPF_H

#include "bpf/hash.h"
#include "bpf/scratch.bpf.h"

#define HEADER_BYTES 12
#define MAX_POINTER_HOPS 16
#define MAX_EXPANDED_NAME 255 /* RFC 1035 section 3.1, with length bytes and root */
#define NOWHERE (~0u)

enum walk_error { WALK_OK, WALK_SHORT, WALK_LABEL, WALK_TOO_LONG, WALK_CHARACTER, WALK_POINTER };

struct walk {
  struct scratch* s;
};

static __always_inline __u8 lower_case(__u8 c) { return c + ((c >= 'A' && c <= 'Z') ? 'a' - 'A' : 0); }

static __always_inline int is_name_character(__u8 c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static __always_inline void begin_walk(struct scratch* s, __u32 offset) {
  s->offset = offset;
  s->label_left = 0;
  s->hops = 0;
  s->expanded_length = 0;
  s->first_end = 0;
  s->done = 0;
  s->error = WALK_OK;
  s->hash = s->hash_seed;
}

static __always_inline void mix_byte(struct scratch* s, __u8 c) { s->hash = (s->hash ^ c) * 0x100000001b3ULL; }

static __always_inline long stop_walk(struct scratch* s, __u32 error) {
  s->error = error;
  return 1;
}

static __always_inline int put_reversed(struct scratch* s, __u8 c) {
  __u32 n = s->name_length;
  if (n >= NW_NAME_MAX) return 0;
  s->reversed[(WINDOW_LAST - n) & 0x1ff] = c;
  s->name_length = n + 1;
  return 1;
}

static long question_step(__u32 i, struct walk* walk) {
  struct scratch* s = walk->s;
  __u32 offset = s->offset;
  if (offset >= s->length) return stop_walk(s, WALK_SHORT);
  __u8 c = s->packet[offset & (PACKET_BYTES - 1)];
  s->offset = offset + 1;
  if (s->label_left == 0) {
    if (c == 0) {
      s->done = 1;
      return 1;
    }
    if (c > 63) return stop_walk(s, WALK_LABEL);
    s->label_left = c;
    s->labels++;
    mix_byte(s, c);
    if (s->name_length && !put_reversed(s, '.')) return stop_walk(s, WALK_TOO_LONG);
    return 0;
  }
  s->label_left--;
  c = lower_case(c);
  if (!is_name_character(c)) return stop_walk(s, WALK_CHARACTER);
  mix_byte(s, c);
  if (!put_reversed(s, c)) return stop_walk(s, WALK_TOO_LONG);
  return 0;
}

/* Reads the question's name into the window. 1: well-formed, `offset` is behind it. */
__noinline int walk_question(struct scratch* s) {
  if (!s) return 0;
  struct nw_window* window = window_of(s);
#pragma unroll
  for (int i = 0; i < NW_WINDOW_WORDS; i++) window->words[i] = 0;
  s->reversed[WINDOW_LAST + 1] = 0;
  s->labels = 0;
  s->name_length = 0;
  begin_walk(s, HEADER_BYTES);
  struct walk walk = {s};
  LONG_LOOP(256, question_step, &walk);
  return s->done && s->name_length > 0;
}

static long expand_step(__u32 i, struct walk* walk) {
  struct scratch* s = walk->s;
  __u32 offset = s->offset;
  if (offset >= s->length) return stop_walk(s, WALK_SHORT);
  __u8 c = s->packet[offset & (PACKET_BYTES - 1)];
  if (s->label_left == 0) {
    if (c == 0) {
      if (!s->first_end) s->first_end = offset + 1;
      s->done = 1;
      return 1;
    }
    if (c >= 0xc0) {
      if (offset + 1 >= s->length) return stop_walk(s, WALK_SHORT);
      if (++s->hops > MAX_POINTER_HOPS) return stop_walk(s, WALK_POINTER);
      if (!s->first_end) s->first_end = offset + 2;
      __u32 target = ((__u32)(c & 0x3f) << 8) | s->packet[(offset + 1) & (PACKET_BYTES - 1)];
      if (target >= offset) return stop_walk(s, WALK_POINTER); /* backwards only: no loop */
      s->offset = target;
      return 0;
    }
    if (c > 63) return stop_walk(s, WALK_LABEL);
    s->label_left = c;
  } else {
    s->label_left--;
    c = lower_case(c);
  }
  mix_byte(s, c);
  s->offset = offset + 1;
  if (++s->expanded_length >= MAX_EXPANDED_NAME) return stop_walk(s, WALK_TOO_LONG);
  return 0;
}

/* The offset that a chain of at most four pointers ends at, so that equal targets are seen without a walk. */
static __always_inline __u32 resolve_pointer(struct scratch* s, __u32 offset) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (offset + 1 >= s->length) return NOWHERE;
    __u8 c = s->packet[offset & (PACKET_BYTES - 1)];
    if (c < 0xc0) return offset;
    __u32 target = ((__u32)(c & 0x3f) << 8) | s->packet[(offset + 1) & (PACKET_BYTES - 1)];
    if (target >= offset) return NOWHERE;
    offset = target;
  }
  return NOWHERE;
}

/* Expands the name at `offset`: its hash in `hash`, the end of its own bytes in `first_end`. 1: well-formed. */
__noinline int walk_name(struct scratch* s, __u32 offset) {
  if (!s) return 0;
  __u32 last = resolve_pointer(s, offset);
  if (last != offset && last != NOWHERE) { /* a lone pointer */
    __u32 own_end = offset + 2;
    if (last == HEADER_BYTES) {
      s->hash = s->question_hash;
      s->first_end = own_end;
      return 1;
    }
    if (last == s->known_offset && s->known_hops <= MAX_POINTER_HOPS - 4) {
      s->hash = s->known_hash;
      s->first_end = own_end;
      return 1;
    }
  }
  begin_walk(s, offset);
  struct walk walk = {s};
  LONG_LOOP(MAX_EXPANDED_NAME + MAX_POINTER_HOPS + 1, expand_step, &walk);
  if (!s->done) return 0;
  s->known_offset = last;
  s->known_hash = s->hash;
  s->known_hops = s->hops;
  return 1;
}

#endif
