/* One row of what census.bpf.c tells. */
#ifndef NAMEWALL_BPF_CENSUS_ROW_H
#define NAMEWALL_BPF_CENSUS_ROW_H

#include <linux/types.h>

struct nw_census_row {
  __s64 references;
  __u32 program_id;
  __u32 reserved;
};

#endif
