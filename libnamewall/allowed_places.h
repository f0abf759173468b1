/* The largest parts of the file system that hold neither /sys nor any cgroup file system: what Landlock is told may
 * still be written, since it can allow hierarchies and except nothing from them. */
#ifndef NAMEWALL_ALLOWED_PLACES_H
#define NAMEWALL_ALLOWED_PLACES_H

/* Calls visit with an O_PATH descriptor of each; it returns 0 or errno. A directory above an excepted one is not
 * visited, its other entries are: what is made right in it later lies in none of them. NAMEWALL_OK, NAMEWALL_LIMIT, or
 * NAMEWALL_SYSTEM with *system_error. */
int namewall_visit_allowed_places(int (*visit)(void* context, int fd, int is_directory), void* context,
                                  int* system_error);

/* The mount point in a line of /proc/self/mountinfo, in place and with its escapes read, where the line is of a cgroup
 * file system; else NULL. */
char* namewall_cgroup_mount_point(char* line);

#endif
