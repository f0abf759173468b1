/* A client of the end-to-end tests: does the steps of its arguments and prints one JSON line for each.
 *   lookup NAME | reach NAME PORT (look it up, connect to every address) | connect ADDRESS PORT | sleep MILLISECONDS
 * Linked to one resolver: lookup_libc.c (glibc, musl) or lookup_cares.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lookup.h"

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static const char* name_of_errno(int error) {
  static char number[16];
  switch (error) {
    case 0:
      return "";
    case ECONNREFUSED:
      return "ECONNREFUSED";
    case EPERM:
      return "EPERM";
    case EACCES:
      return "EACCES";
    case ETIMEDOUT:
      return "ETIMEDOUT";
    case ENETUNREACH:
      return "ENETUNREACH";
    case EHOSTUNREACH:
      return "EHOSTUNREACH";
    case EINVAL:
      return "EINVAL";
  }
  snprintf(number, sizeof number, "%d", error);
  return number;
}

/* 0, or the errno of the connect. */
static int connect_within(const char* address, int port, int milliseconds) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  int is_v6 = strchr(address, ':') != NULL;
  if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address, is_v6 ? (void*)&v6.sin6_addr : (void*)&v4.sin_addr) != 1)
    return EINVAL;
  int opened = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (opened < 0) return errno;
  int error = 0;
  if (connect(opened, is_v6 ? (void*)&v6 : (void*)&v4, is_v6 ? sizeof v6 : sizeof v4) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      struct pollfd wait = {.fd = opened, .events = POLLOUT};
      socklen_t size = sizeof error;
      if (poll(&wait, 1, milliseconds) != 1) {
        error = ETIMEDOUT;
      } else {
        getsockopt(opened, SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
  }
  close(opened);
  return error;
}

static void do_connect(const char* address, int port) {
  double start = now_ms();
  int error = connect_within(address, port, 3000);
  printf("{\"step\":\"connect\",\"target\":\"%s\",\"ok\":%s,\"error\":\"%s\",\"ms\":%.3f}\n", address,
         error ? "false" : "true", name_of_errno(error), now_ms() - start);
}

/* port 0: only look up. */
static void do_lookup(const char* name, int port) {
  struct lookup_result result = {0};
  double start = now_ms();
  lookup(name, &result);
  double lookup_ms = now_ms() - start;
  int failed = 0;
  for (int i = 0; port && i < result.count && !failed; i++) failed = connect_within(result.addresses[i], port, 3000);
  int ok = result.count > 0 && !failed;
  printf("{\"step\":\"%s\",\"target\":\"%s\",\"ok\":%s,\"error\":\"%s\",\"ms\":%.3f,\"addresses\":[",
         port ? "reach" : "lookup", name, ok ? "true" : "false", failed ? name_of_errno(failed) : result.error,
         lookup_ms);
  for (int i = 0; i < result.count; i++) printf("%s\"%s\"", i ? "," : "", result.addresses[i]);
  printf("]}\n");
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "lookup") && i + 1 < argc) {
      do_lookup(argv[i + 1], 0);
      i += 1;
    } else if (!strcmp(argv[i], "reach") && i + 2 < argc) {
      do_lookup(argv[i + 1], atoi(argv[i + 2]));
      i += 2;
    } else if (!strcmp(argv[i], "connect") && i + 2 < argc) {
      do_connect(argv[i + 1], atoi(argv[i + 2]));
      i += 2;
    } else if (!strcmp(argv[i], "sleep") && i + 1 < argc) {
      usleep(atoi(argv[i + 1]) * 1000);
      i += 1;
    } else {
      fprintf(stderr, "client: no such step: %s\n", argv[i]);
      return 64;
    }
    fflush(stdout);
  }
  return 0;
}
