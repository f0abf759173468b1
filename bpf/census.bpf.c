/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Tells how many references each loaded program has: each cgroup that it is attached to holds one. */
#include <bpf/bpf_core_read.h>

#include "bpf/census_row.h"
#include "bpf/kernel.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
typedef struct {
  __s64 counter;
} atomic64_t;
struct bpf_prog_aux {
  atomic64_t refcnt;
  __u32 id;
};
struct bpf_prog {
  struct bpf_prog_aux* aux;
};
struct seq_file;
struct bpf_iter_meta {
  struct seq_file* seq;
};
struct bpf_iter__bpf_prog {
  struct bpf_iter_meta* meta;
  struct bpf_prog* prog;
};
#pragma clang attribute pop

SEC("iter/bpf_prog")
int namewall_census(struct bpf_iter__bpf_prog* at) {
  struct bpf_prog* program = at->prog;
  if (!program) return 0;
  struct nw_census_row row = {.references = program->aux->refcnt.counter, .program_id = program->aux->id};
  bpf_seq_write(at->meta->seq, &row, sizeof(row));
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
