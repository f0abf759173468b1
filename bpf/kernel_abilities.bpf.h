/* What the kernel need not have. User space says so before the programs are loaded: the verifier takes these for
 * constants and does not look at what they rule out. */
#ifndef NAMEWALL_BPF_KERNEL_ABILITIES_BPF_H
#define NAMEWALL_BPF_KERNEL_ABILITIES_BPF_H

#include "bpf/kernel.bpf.h"

const volatile __u8 has_loop = 1;       /* bpf_loop, Linux 5.17. Without, the programs read no DNS messages */
const volatile __u8 has_set_retval = 1; /* bpf_set_retval, Linux 5.18. Without, what they refuse fails with EPERM */

/* step(i, context) for each i below `count` until it returns 1. Without bpf_loop it is a loop that the verifier follows
 * step by step, at most `most` times. */
#define SHORT_LOOP(most, count, step, context)                                      \
  do {                                                                              \
    if (has_loop) {                                                                 \
      bpf_loop(count, step, context, 0);                                            \
    } else {                                                                        \
      _Pragma("clang loop unroll(disable)") for (__u32 at = 0; at < (most); at++) { \
        if (at >= (count) || step(at, context)) break;                              \
      }                                                                             \
    }                                                                               \
  } while (0)

/* Likewise, of code that does not run without bpf_loop. */
#define LONG_LOOP(count, step, context)              \
  do {                                               \
    if (has_loop) bpf_loop(count, step, context, 0); \
  } while (0)

static __always_inline void fail_with(int error) {
  if (has_set_retval) bpf_set_retval(error);
}

#endif
