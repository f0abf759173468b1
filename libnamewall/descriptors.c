#include "libnamewall/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Counts the descriptors in that directory of /proc for which `is_counted` says 1; -1: it says -1, or they cannot be
 * listed. */
static int32_t count(const char* directory, int (*is_counted)(const char* link, int fd, int pidfd), int pidfd) {
  DIR* listing = opendir(directory);
  if (listing == NULL) return -1;
  int32_t found = 0;
  for (;;) {
    errno = 0;
    const struct dirent* entry = readdir(listing);
    if (entry == NULL) {
      if (errno != 0) found = -1;
      break;
    }
    char *end = NULL, link[64];
    const long fd = strtol(entry->d_name, &end, 10);
    if (end == entry->d_name || *end != '\0') continue;
    snprintf(link, sizeof link, "%s/%ld", directory, fd);
    const int counted = is_counted(link, (int)fd, pidfd);
    if (counted < 0) {
      found = -1;
      break;
    }
    found += counted;
  }
  closedir(listing);
  return found;
}

static int is_own_socket(const char* link, int fd, int pidfd) {
  (void)link;
  (void)pidfd;
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return 0;
  return family == AF_INET || family == AF_INET6;
}

/* Only of sockets a copy is made: closing one of a file would drop the locks (fcntl(2)) that this process has on it. */
static int is_socket_of(const char* link, int fd, int pidfd) {
  struct stat status;
  if (stat(link, &status) != 0) return errno == ENOENT ? 0 : -1;
  if (!S_ISSOCK(status.st_mode)) return 0;
  const int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
  if (copy < 0) return errno == EBADF ? 0 : -1;  // EBADF: closed meanwhile
  const int is_counted = is_own_socket(link, copy, -1);
  close(copy);
  return is_counted;
}

static int is_way_out(const char* link, int fd, int pidfd) {
  (void)pidfd;
  struct statfs file_system;
  if (fstatfs(fd, &file_system) == 0 &&
      (file_system.f_type == CGROUP_SUPER_MAGIC || file_system.f_type == CGROUP2_SUPER_MAGIC)) {
    const int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_RDONLY;
  }
  char target[64];
  const ssize_t length = readlink(link, target, sizeof target - 1);
  if (length < 0) return 0;
  target[length] = '\0';
  return strcmp(target, "anon_inode:[io_uring]") == 0;
}

int32_t namewall_count_own_sockets(void) { return count("/proc/self/fd", is_own_socket, -1); }

int32_t namewall_count_sockets_of(int pidfd, pid_t pid) {
  char directory[64];
  snprintf(directory, sizeof directory, "/proc/%ld/fd", (long)pid);
  return count(directory, is_socket_of, pidfd);
}

int32_t namewall_count_ways_out(void) { return count("/proc/self/fd", is_way_out, -1); }
