#include "libnamewall/allowed_places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "libnamewall/namewall.h"

enum { NAMEWALL_MAX_KNOWN = 1024, NAMEWALL_MAX_PLACES = 65536, NAMEWALL_MAX_DEPTH = 32 };

/* A directory, whichever path leads to it: Landlock's rules are of the directory, not of the path, so one that is
 * mounted in two places counts in both. */
struct identity {
  uint32_t major, minor;
  uint64_t inode;
};

struct identities {
  struct identity items[NAMEWALL_MAX_KNOWN];
  size_t count;
};

struct search {
  int (*visit)(void* context, int fd, int is_directory);
  void* context;
  struct identities excepted, above;  // above: every directory on the way to an excepted one
  long places;
  int system_error;
};

static int identify(int at, const char* path, int flags, struct identity* identity, mode_t* mode) {
  struct statx status;
  // Without asking a server that may hang.
  if (statx(at, path, flags | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &status) != 0) return errno;
  identity->major = status.stx_dev_major;
  identity->minor = status.stx_dev_minor;
  identity->inode = status.stx_ino;
  *mode = status.stx_mode;
  return 0;
}

static int is_among(const struct identities* identities, const struct identity* one) {
  for (size_t i = 0; i < identities->count; ++i) {
    const struct identity* other = &identities->items[i];
    if (other->inode == one->inode && other->major == one->major && other->minor == one->minor) return 1;
  }
  return 0;
}

static int add(struct identities* identities, const struct identity* one) {
  if (is_among(identities, one)) return NAMEWALL_OK;
  if (identities->count == NAMEWALL_MAX_KNOWN) return NAMEWALL_LIMIT;
  identities->items[identities->count++] = *one;
  return NAMEWALL_OK;
}

static int fail(struct search* search, int error) {
  search->system_error = error;
  return NAMEWALL_SYSTEM;
}

/* What this user cannot reach, it cannot write to either. */
static int is_out_of_reach(int error) { return error == ENOENT || error == EACCES || error == ENOTDIR; }

static int except_place(struct search* search, char* path) {
  struct identity identity;
  mode_t mode;
  int error = identify(AT_FDCWD, path, AT_NO_AUTOMOUNT, &identity, &mode);
  if (is_out_of_reach(error)) return NAMEWALL_OK;
  if (error != 0) return fail(search, error);
  int done = add(&search->excepted, &identity);
  for (char* slash = strrchr(path, '/'); done == NAMEWALL_OK && slash != NULL; slash = strrchr(path, '/')) {
    slash[slash == path] = '\0';  // the root keeps its own
    error = identify(AT_FDCWD, path, AT_NO_AUTOMOUNT, &identity, &mode);
    if (error != 0) return fail(search, error);
    done = add(&search->above, &identity);
    if (slash == path) break;
  }
  return done;
}

/* The next word of a line; NULL: there is none. */
static char* next_word(char** line) {
  char* word = strsep(line, " ");
  return word != NULL && *word != '\0' ? word : NULL;
}

static int is_octal(char character) { return character >= '0' && character <= '7'; }

/* "\040" and the like, proc_pid_mountinfo(5). */
static void unescape(char* text) {
  char* out = text;
  for (; *text != '\0'; ++out) {
    if (text[0] == '\\' && is_octal(text[1]) && is_octal(text[2]) && is_octal(text[3])) {
      *out = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
      text += 4;
    } else {
      *out = *text++;
    }
  }
  *out = '\0';
}

char* namewall_cgroup_mount_point(char* line) {
  char *rest = line, *mount_point = NULL, *word;
  for (int i = 0; i < 5; ++i) {
    mount_point = next_word(&rest);
    if (mount_point == NULL) return NULL;
  }
  while ((word = next_word(&rest)) != NULL && strcmp(word, "-") != 0) {
  }
  word = word == NULL ? NULL : next_word(&rest);
  if (word == NULL || (strcmp(word, "cgroup") != 0 && strcmp(word, "cgroup2") != 0)) return NULL;
  unescape(mount_point);
  return mount_point;
}

static int except_cgroup_mounts(struct search* search) {
  FILE* mounts = fopen("/proc/self/mountinfo", "re");
  if (mounts == NULL) return fail(search, errno);
  char* line = NULL;
  size_t room = 0;
  int done = NAMEWALL_OK;
  while (done == NAMEWALL_OK && getline(&line, &room, mounts) >= 0) {
    char* mount_point = namewall_cgroup_mount_point(line);
    if (mount_point != NULL) done = except_place(search, mount_point);
  }
  if (done == NAMEWALL_OK && ferror(mounts)) done = fail(search, EIO);
  free(line);
  fclose(mounts);
  return done;
}

static int is_cgroup_file_system(int fd) {
  struct statfs file_system;
  return fstatfs(fd, &file_system) == 0 &&
         (file_system.f_type == CGROUP_SUPER_MAGIC || file_system.f_type == CGROUP2_SUPER_MAGIC);
}

static int visit_entries(struct search* search, int directory, int depth);

static int visit_place(struct search* search, int fd, int depth) {
  struct identity identity;
  mode_t mode;
  const int error = identify(fd, "", AT_EMPTY_PATH, &identity, &mode);
  if (error != 0) return fail(search, error);
  if (S_ISLNK(mode) || is_among(&search->excepted, &identity) || is_cgroup_file_system(fd)) return NAMEWALL_OK;
  if (is_among(&search->above, &identity)) return visit_entries(search, fd, depth + 1);
  if (++search->places > NAMEWALL_MAX_PLACES) return NAMEWALL_LIMIT;
  const int refused = search->visit(search->context, fd, S_ISDIR(mode));
  return refused == 0 ? NAMEWALL_OK : fail(search, refused);
}

static int visit_entries(struct search* search, int directory, int depth) {
  if (depth > NAMEWALL_MAX_DEPTH) return NAMEWALL_LIMIT;
  const int readable = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = readable < 0 ? NULL : fdopendir(readable);
  if (listing == NULL) {
    const int error = errno;
    if (readable >= 0) close(readable);
    return is_out_of_reach(error) ? NAMEWALL_OK : fail(search, error);
  }
  int done = NAMEWALL_OK;
  while (done == NAMEWALL_OK) {
    errno = 0;
    const struct dirent* entry = readdir(listing);
    if (entry == NULL) {
      if (errno != 0) done = fail(search, errno);
      break;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    const int fd = openat(readable, entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && is_out_of_reach(errno)) continue;
    done = fd < 0 ? fail(search, errno) : visit_place(search, fd, depth);
    if (fd >= 0) close(fd);
  }
  closedir(listing);
  return done;
}

int namewall_visit_allowed_places(int (*visit)(void* context, int fd, int is_directory), void* context,
                                  int* system_error) {
  struct search* search = calloc(1, sizeof *search);
  if (search == NULL) {
    *system_error = ENOMEM;
    return NAMEWALL_SYSTEM;
  }
  search->visit = visit;
  search->context = context;
  char sys[] = "/sys", root_entry[] = "/";
  int done = except_place(search, sys);
  if (done == NAMEWALL_OK) done = except_cgroup_mounts(search);
  struct identity root;
  mode_t mode;
  if (done == NAMEWALL_OK) {
    const int error = identify(AT_FDCWD, root_entry, 0, &root, &mode);
    done = error != 0 ? fail(search, error) : add(&search->above, &root);
  }
  const int root_fd = done == NAMEWALL_OK ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  if (done == NAMEWALL_OK) done = root_fd < 0 ? fail(search, errno) : visit_entries(search, root_fd, 0);
  if (root_fd >= 0) close(root_fd);
  *system_error = search->system_error;
  free(search);
  return done;
}
