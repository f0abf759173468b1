/* getaddrinfo of the C library that this is linked to. */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lookup.h"

void lookup(const char* name, struct lookup_result* result) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  struct addrinfo* found = NULL;
  int error = getaddrinfo(name, NULL, &hints, &found);
  if (error) {
    const char* word = error == EAI_NONAME ? "EAI_NONAME" : error == EAI_AGAIN ? "EAI_AGAIN" : NULL;
    if (word) {
      snprintf(result->error, sizeof result->error, "%s", word);
    } else {
      snprintf(result->error, sizeof result->error, "EAI %d", error);
    }
    return;
  }
  for (struct addrinfo* at = found; at && result->count < MAX_ADDRESSES; at = at->ai_next) {
    getnameinfo(at->ai_addr, at->ai_addrlen, result->addresses[result->count++], ADDRESS_TEXT, NULL, 0, NI_NUMERICHOST);
  }
  freeaddrinfo(found);
}
