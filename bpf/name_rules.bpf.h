/* What the policy says of a name: one longest-prefix lookup, then the globs of the node that it found
 * (policy/policy_image: decide_name). */
#ifndef NAMEWALL_BPF_NAME_RULES_BPF_H
#define NAMEWALL_BPF_NAME_RULES_BPF_H

#include "bpf/scratch.bpf.h"

struct glob_walk {
  struct scratch* s;
  struct nw_glob* glob;
};

/* One step of the match of a reversed pattern against the reversed name. '*' backtracks within its label only. */
static long glob_step(__u32 i, struct glob_walk* walk) {
  struct scratch* s = walk->s;
  struct nw_glob* glob = walk->glob;
  if (!glob) return 1;
  __u8 pattern = glob->pattern[s->glob_pattern_at & 255];
  __u8 name = s->reversed[(s->glob_name_start + s->glob_name_at) & 0x1ff];
  if (pattern == '#') {
    s->glob_matched = name != 0;
    return 1;
  }
  if (pattern == '*') {
    s->glob_pattern_at++;
    s->glob_star_pattern = s->glob_pattern_at;
    s->glob_star_name = s->glob_name_at;
    return 0;
  }
  if (pattern == '+' && name != 0 && name != '.') {
    s->glob_name_at++;
    s->glob_pattern_at++;
    s->glob_star_pattern = s->glob_pattern_at;
    s->glob_star_name = s->glob_name_at;
    return 0;
  }
  if (pattern == name) {
    if (pattern == 0) {
      s->glob_matched = 1;
      return 1;
    }
    if (pattern == '.') s->glob_star_pattern = 0;
    s->glob_pattern_at++;
    s->glob_name_at++;
    return 0;
  }
  if (s->glob_star_pattern) {
    __u8 skipped = s->reversed[(s->glob_name_start + s->glob_star_name) & 0x1ff];
    if (skipped != 0 && skipped != '.') {
      s->glob_star_name++;
      s->glob_name_at = s->glob_star_name;
      s->glob_pattern_at = s->glob_star_pattern;
      return 0;
    }
  }
  return 1;
}

struct glob_list {
  struct scratch* s;
  struct nw_name_node* node;
};

static long glob_each(__u32 i, struct glob_list* list) {
  struct scratch* s = list->s;
  struct nw_name_node* node = list->node;
  if (!node || i >= NW_MAX_GLOBS_PER_NODE) return 1;
  struct nw_glob_key key = {.policy_id = s->policy_id, .index = node->globs[i & (NW_MAX_GLOBS_PER_NODE - 1)]};
  struct nw_glob* glob = bpf_map_lookup_elem(&glob_rules, &key);
  if (!glob) return 0;
  s->glob_pattern_at = 0;
  s->glob_name_at = 0;
  s->glob_star_pattern = 0;
  s->glob_star_name = 0;
  s->glob_matched = 0;
  s->glob_name_start = WINDOW_LAST + 1 - s->name_length;
  struct glob_walk walk = {s, glob};
  /* A label has 63 characters and a pattern 255: steps exhausted means no match. */
  LONG_LOOP(1024, glob_step, &walk);
  if (s->glob_matched) {
    s->glob_allow |= glob->masks.allow;
    s->glob_allow_private |= glob->masks.allow_private;
    s->glob_deny |= glob->masks.deny;
  }
  return 0;
}

/* Judges the name in the window under `policy_id`: masks in `allow` and `allow_private`. 1: it may be asked. */
__noinline int decide_name(struct scratch* s, __u32 policy_id) {
  if (!s) return 0;
  s->allow = 0;
  s->allow_private = 0;
  s->is_listed = 0;
  __u32 length = s->name_length;
  if (length < 1 || length > NW_NAME_MAX) return 0;
  __u32 start = (WINDOW_LAST + 1 - length - 8) & 0xff;
  struct nw_name_key* key = (void*)&s->reversed[start];
  key->prefixlen = 32 + (length + 1) * 8;
  key->policy_id = policy_id;
  struct nw_name_node* node = bpf_map_lookup_elem(&name_rules, key);
  /* The head of the key lies in the window's zeros. */
  key->prefixlen = 0;
  key->policy_id = 0;
  if (!node) return 0;
  s->is_listed = s->labels == (__u32)node->labels;
  __u32 deeper = s->labels > (__u32)node->labels + 1;
  struct nw_masks* masks = deeper ? &node->masks[1] : &node->masks[0];
  __u64 deny = masks->deny;
  s->allow = masks->allow;
  s->allow_private = masks->allow_private;
  __u32 globs = node->glob_count;
  if (globs && !has_loop) { /* nothing allowed, for they may deny: until the next lookup, which user space judges */
    s->allow = 0;
    s->allow_private = 0;
    return 0;
  }
  if (globs) {
    if (globs > NW_MAX_GLOBS_PER_NODE) globs = NW_MAX_GLOBS_PER_NODE;
    s->policy_id = policy_id;
    s->glob_allow = 0;
    s->glob_allow_private = 0;
    s->glob_deny = 0;
    struct glob_list list = {s, node};
    LONG_LOOP(globs, glob_each, &list);
    s->allow |= s->glob_allow;
    s->allow_private |= s->glob_allow_private;
    deny |= s->glob_deny;
  }
  s->allow &= ~deny;
  s->allow_private &= s->allow;
  if (!s->allow) return 0;
  s->allow |= NW_ASK_BIT;
  return 1;
}

#endif
