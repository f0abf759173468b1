#include "libnamewall/process.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libnamewall/namewall.h"

/* struct pidfd_info and PIDFD_GET_INFO of include/uapi/linux/pidfd.h (Linux 6.13), its first version. */
struct pidfd_info_v0 {
  uint64_t mask, cgroupid;
  uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  int32_t exit_code;
};
#define NAMEWALL_PIDFD_GET_INFO _IOWR(0xff, 11, struct pidfd_info_v0)

/* The number behind "key:" at the begin of a line of a file of /proc. 0: there is none. */
static long number_in(const char* path, const char* key) {
  FILE* file = fopen(path, "re");
  if (file == NULL) return 0;
  char line[256];
  long number = 0;
  const size_t length = strlen(key);
  while (number == 0 && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, key, length) == 0 && line[length] == ':') number = strtol(line + length + 1, NULL, 10);
  }
  fclose(file);
  return number;
}

/* Before Linux 6.13: as /proc tells it, which is this process's own namespace where /proc is. */
static int child_by_proc(int pidfd, pid_t* pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
  const long number = number_in(path, "Pid");
  if (number == 0) return NAMEWALL_BAD_REQUEST;
  if (number < 0) return NAMEWALL_NO_PROCESS;
  snprintf(path, sizeof path, "/proc/%ld/status", number);
  if (number_in(path, "PPid") != getpid() || number_in(path, "Tgid") != number) return NAMEWALL_NO_PROCESS;
  *pid = (pid_t)number;
  return NAMEWALL_OK;
}

int namewall_has_ended(int pidfd) {
  struct pollfd ended = {pidfd, POLLIN, 0};
  return poll(&ended, 1, 0) != 0;
}

int namewall_child_of_pidfd(int pidfd, pid_t* pid) {
  struct pidfd_info_v0 info;
  memset(&info, 0, sizeof info);
  int found = NAMEWALL_OK;
  if (ioctl(pidfd, NAMEWALL_PIDFD_GET_INFO, &info) == 0) {
    if (info.ppid != (uint32_t)getpid() || info.pid != info.tgid) found = NAMEWALL_NO_PROCESS;
    *pid = (pid_t)info.pid;
  } else if (errno == ESRCH) {
    found = NAMEWALL_NO_PROCESS;
  } else {
    found = child_by_proc(pidfd, pid);
  }
  /* Asked last: until here the number was the process's own. */
  return found == NAMEWALL_OK && namewall_has_ended(pidfd) ? NAMEWALL_NO_PROCESS : found;
}

long namewall_count_threads(void) { return number_in("/proc/self/status", "Threads"); }
