/* fresh_client N COUNT PER_SECOND [udp]: looks up N-0.fresh.example, N-1..., each followed at once by a connect to the
 * address that the lookup gave, and with udp by a datagram to it; PER_SECOND 0: as fast as it can. Prints one JSON line
 * with how many of either failed. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec + at.tv_nsec / 1e9;
}

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) return 64;
  int sends = argc == 5 && !strcmp(argv[4], "udp");
  int count = atoi(argv[2]), lookups_failed = 0, connects_failed = 0, first_error = 0, first_lookup_error = 0;
  double per_second = atof(argv[3]), start = now();
  for (int i = 0; i < count; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s-%d.fresh.example", argv[1], i);
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int error = getaddrinfo(name, "7002", &hints, &found);
    if (error) {
      first_lookup_error = first_lookup_error ? first_lookup_error : error;
      lookups_failed++;
      continue;
    }
    int opened = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(opened, found->ai_addr, found->ai_addrlen) != 0) {
      first_error = first_error ? first_error : errno;
      connects_failed++;
    }
    close(opened);
    if (sends) {
      opened = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      if (sendto(opened, "", 1, 0, found->ai_addr, found->ai_addrlen) != 1) {
        first_error = first_error ? first_error : errno;
        connects_failed++;
      }
      close(opened);
    }
    freeaddrinfo(found);
    double early = per_second > 0 ? start + (i + 1) / per_second - now() : 0;
    if (early > 0) usleep(early * 1e6);
  }
  printf(
      "{\"step\":\"fresh\",\"target\":\"%s\",\"ok\":%s,\"error\":\"lookup %d, connect %d\",\"ms\":%.0f,\"count\":%d,"
      "\"lookups_failed\":%d,\"connects_failed\":%d}\n",
      argv[1], lookups_failed + connects_failed ? "false" : "true", first_lookup_error, first_error,
      (now() - start) * 1000, count, lookups_failed, connects_failed);
  return 0;
}
