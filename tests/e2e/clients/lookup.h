/* How the client looks a name up: IPv4 and IPv6 together, as programs do. */
#ifndef NAMEWALL_E2E_LOOKUP_H
#define NAMEWALL_E2E_LOOKUP_H

#define MAX_ADDRESSES 128
#define ADDRESS_TEXT 48 /* INET6_ADDRSTRLEN and room */

struct lookup_result {
  int count;
  char addresses[MAX_ADDRESSES][ADDRESS_TEXT];
  char error[32]; /* the resolver's own word; "" when count > 0 */
};

void lookup(const char* name, struct lookup_result* result);

#endif
