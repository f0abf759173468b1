/* plugin_host [--socket PATH] TARGET[,TARGET...] NAME=[ENDPOINT[,ENDPOINT...]]...
 *
 * What a language runtime does with libnamewall: it starts one worker process for each plugin, and lets none go on
 * before it is narrowed to what the plugin may reach. Here a worker tries every TARGET (host:port) and prints what came
 * of it. Exit code 0: every worker was narrowed and ran.
 *
 *     cc -o plugin_host plugin_host.c $(pkg-config --cflags --libs namewall)
 *     ./plugin_host example.com:443,example.org:443 shop=https://example.com none=
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <namewall.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ENDPOINTS = 64 };

struct plugin {
  const char* name;
  const char* allow[MOST_ENDPOINTS];
  size_t allow_count;
};

struct worker {
  pid_t pid;
  int pidfd;
  int gate; /* one byte into it lets the worker go on; closed without one, it ends */
};

/* ---- the worker ---- */

static const char* reach(const char* host, const char* port) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  if (getaddrinfo(host, port, &hints, &found) != 0) return "no such name";
  const char* result = "no address";
  for (const struct addrinfo* one = found; one != NULL; one = one->ai_next) {
    const int fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
    const struct timeval longest = {3, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
    const int failed = connect(fd, one->ai_addr, one->ai_addrlen);
    result = failed == 0 ? "reached" : errno == ECONNREFUSED ? "refused" : strerror(errno);
    close(fd);
    if (failed == 0) break;
  }
  freeaddrinfo(found);
  return result;
}

/* "plugin_host --worker GATE NAME TARGETS": nothing of the plugin runs before the gate opens. */
static int work(int gate, const char* name, char* targets) {
  char go = 0;
  if (read(gate, &go, 1) != 1) return 1;
  close(gate);
  for (char* target = strtok(targets, ","); target != NULL; target = strtok(NULL, ",")) {
    char* colon = strrchr(target, ':');
    if (colon == NULL) return 2;
    *colon = '\0';
    const char* result = reach(target, colon + 1);
    printf("%s %s:%s %s\n", name, target, colon + 1, result);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- the host ---- */

static int start_worker(const struct plugin* plugin, char* targets, struct worker* worker) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  worker->pid = fork();
  if (worker->pid == 0) {
    char gate[16], option[] = "--worker", program[] = "plugin_host";
    snprintf(gate, sizeof gate, "%d", ends[0]);
    fcntl(ends[0], F_SETFD, 0); /* the only descriptor above 2 that goes with it */
    char* arguments[] = {program, option, gate, (char*)plugin->name, targets, NULL};
    execv("/proc/self/exe", arguments);
    _exit(127);
  }
  close(ends[0]);
  worker->gate = ends[1];
  /* Its number is its own until this process waits for it, so that this is it. */
  worker->pidfd = worker->pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, worker->pid, 0);
  return worker->pidfd < 0 ? -1 : 0;
}

static int narrow(const struct plugin* plugin, const struct worker* worker, const char* socket_path) {
  struct namewall_request request = NAMEWALL_REQUEST_INIT;
  struct namewall_outcome outcome = NAMEWALL_OUTCOME_INIT;
  request.allow = plugin->allow;
  request.allow_count = plugin->allow_count;
  request.label = plugin->name;
  request.socket_path = socket_path;
  const int result = namewall_restrict_child(worker->pidfd, &request, &outcome);
  if (result != NAMEWALL_OK) {
    fprintf(stderr, "plugin_host: %s is not narrowed (%d): %s\n", plugin->name, result, outcome.sentence);
    return -1;
  }
  fprintf(stderr, "plugin_host: %s is workload %s (%s)\n", plugin->name, outcome.workload, outcome.state);
  if (outcome.without_effect_count > 0) fprintf(stderr, "without effect:\n%s\n", outcome.without_effect);
  if (outcome.kept_sockets != 0) {
    fprintf(stderr, "plugin_host: %s holds %d sockets from before\n", plugin->name, outcome.kept_sockets);
    return -1; /* they would keep the host's reach */
  }
  return 0;
}

static int run_plugin(const struct plugin* plugin, char* targets, const char* socket_path) {
  struct worker worker = {-1, -1, -1};
  int failed = start_worker(plugin, targets, &worker);
  if (failed == 0) failed = narrow(plugin, &worker, socket_path);
  if (failed == 0) failed = write(worker.gate, "g", 1) != 1;
  if (worker.gate >= 0) close(worker.gate); /* a worker that was not let go reads its end */
  int status = 1;
  if (worker.pid > 0) waitpid(worker.pid, &status, 0);
  if (worker.pidfd >= 0) close(worker.pidfd);
  return failed != 0 || status != 0;
}

static int read_plugin(char* text, struct plugin* plugin) {
  char* rest = strchr(text, '=');
  if (rest == NULL) return -1;
  *rest++ = '\0';
  plugin->name = text;
  plugin->allow_count = 0;
  for (char* one = strtok(rest, ","); one != NULL; one = strtok(NULL, ",")) {
    if (plugin->allow_count == MOST_ENDPOINTS) return -1;
    plugin->allow[plugin->allow_count++] = one;
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 5 && strcmp(argv[1], "--worker") == 0) return work(atoi(argv[2]), argv[3], argv[4]);
  const char* socket_path = NULL;
  int next = 1;
  if (argc > 2 && strcmp(argv[1], "--socket") == 0) {
    socket_path = argv[2];
    next = 3;
  }
  if (argc < next + 2) {
    fprintf(stderr, "usage: plugin_host [--socket PATH] TARGET[,TARGET...] NAME=[ENDPOINT[,ENDPOINT...]]...\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN); /* a worker may end before its gate is opened */
  const int available = namewall_available(socket_path);
  if (available != NAMEWALL_OK) {
    fprintf(stderr, "plugin_host: no plugin is started: no namewalld can narrow them (%d)\n", available);
    return 1;
  }
  char* targets = argv[next++];
  int failures = 0;
  for (; next < argc; ++next) {
    struct plugin plugin;
    if (read_plugin(argv[next], &plugin) != 0) {
      fprintf(stderr, "plugin_host: %s is no NAME=ENDPOINT,...\n", argv[next]);
      return 2;
    }
    failures += run_plugin(&plugin, targets, socket_path);
  }
  return failures == 0 ? 0 : 1;
}
