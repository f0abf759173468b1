/* NAMEWALL_COOPERATIVE: the calling process gives up what would let it, or what it starts, move itself to another
 * cgroup of its user. Three ways lead there: writing cgroup.procs (Landlock, also through mounts made later: a process
 * under Landlock mounts nothing), clone3(2) with CLONE_INTO_CGROUP, which opens no file (seccomp), and set-user-ID
 * programs (no_new_privs). */
#ifndef NAMEWALL_WRITE_ACCESS_H
#define NAMEWALL_WRITE_ACCESS_H

/* For all threads, for good. NAMEWALL_OK, NAMEWALL_UNSUPPORTED, NAMEWALL_MANY_THREADS, NAMEWALL_LIMIT (too many mounts
 * or directory entries to tell Landlock of), or NAMEWALL_SYSTEM with *system_error. On failure no_new_privs and the
 * filter may be set already. */
int namewall_give_up_writing(int* system_error);

#endif
