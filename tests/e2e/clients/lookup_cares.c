/* c-ares, as curl, node and many others use it. */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "lookup.h"

static void take(void* argument, int status, int timeouts, struct ares_addrinfo* found) {
  struct lookup_result* result = argument;
  (void)timeouts;
  if (status != ARES_SUCCESS) {
    snprintf(result->error, sizeof result->error, "ARES %d", status);
    return;
  }
  for (struct ares_addrinfo_node* at = found->nodes; at && result->count < MAX_ADDRESSES; at = at->ai_next) {
    const void* address = at->ai_family == AF_INET6 ? (const void*)&((struct sockaddr_in6*)at->ai_addr)->sin6_addr
                                                    : (const void*)&((struct sockaddr_in*)at->ai_addr)->sin_addr;
    inet_ntop(at->ai_family, address, result->addresses[result->count++], ADDRESS_TEXT);
  }
  ares_freeaddrinfo(found);
}

void lookup(const char* name, struct lookup_result* result) {
  ares_channel channel;
  ares_library_init(ARES_LIB_INIT_ALL);
  if (ares_init(&channel) != ARES_SUCCESS) {
    snprintf(result->error, sizeof result->error, "ares_init");
    return;
  }
  struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  ares_getaddrinfo(channel, name, NULL, &hints, take, result);
  for (;;) {
    fd_set reads, writes;
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    int count = ares_fds(channel, &reads, &writes);
    if (count == 0) break;
    struct timeval step;
    struct timeval* wait = ares_timeout(channel, NULL, &step);
    select(count, &reads, &writes, NULL, wait);
    ares_process(channel, &reads, &writes);
  }
  ares_destroy(channel);
  ares_library_cleanup();
}
