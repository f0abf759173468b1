/* What a process holds open that was there before it was narrowed. */
#ifndef NAMEWALL_DESCRIPTORS_H
#define NAMEWALL_DESCRIPTORS_H

#include <stdint.h>
#include <sys/types.h>

/* IPv4 and IPv6 sockets of any type; -1: not known. */
int32_t namewall_count_own_sockets(void);
int32_t namewall_count_sockets_of(int pidfd, pid_t pid);

/* Descriptors of the calling process that Landlock does not take back: of files in cgroup file systems that are open
 * for writing, and io_uring instances, which act with the rights they were made with. -1: not known. */
int32_t namewall_count_ways_out(void);

#endif
