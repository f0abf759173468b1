/* Processes by their pidfds, and threads. */
#ifndef NAMEWALL_PROCESS_H
#define NAMEWALL_PROCESS_H

#include <sys/types.h>

/* The number, in this process's own pid namespace, of the child of this process that the pidfd is of. NAMEWALL_OK;
 * NAMEWALL_NO_PROCESS: it has ended, or is no child, or a thread; NAMEWALL_BAD_REQUEST: no pidfd. */
int namewall_child_of_pidfd(int pidfd, pid_t* pid);

/* Whether its process has ended. */
int namewall_has_ended(int pidfd);

/* Of the calling process; 0: not known. */
long namewall_count_threads(void);

#endif
