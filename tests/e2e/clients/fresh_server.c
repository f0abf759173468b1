/* fresh_server ADDRESS TTL: DNS on ADDRESS:53 where N-M.anything is 45.N.(M / 256).(M % 256), and a TCP listener on
 * port 7002 of every address that accepts and closes. Answers as fast as a question can be read: what waits must be the
 * client. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 7002

/* The length of the answer, built in place behind the question; 0: not a question. */
static size_t answer_in_place(uint8_t* message, size_t length, size_t room, uint32_t ttl) {
  size_t at = 12;
  unsigned high = 0, low = 0;
  char label[64] = {0};
  if (length < 17 || room < length + 16) return 0;
  while (at < length && message[at]) {
    if (at == 12 && message[at] < sizeof label) memcpy(label, message + 13, message[at]);
    at += 1 + message[at];
  }
  if (at + 5 > length) return 0;
  int is_a = message[at + 1] == 0 && message[at + 2] == 1 && sscanf(label, "%u-%u", &high, &low) == 2;
  at += 5;
  memset(message + 6, 0, 6);
  message[2] = 0x85; /* a response, authoritative, recursion desired */
  message[3] = 0x80;
  if (!is_a) return at;
  message[7] = 1;
  uint8_t record[16] = {0xc0, 12, 0, 1, 0, 1, ttl >> 24, ttl >> 16, ttl >> 8, ttl, 0, 4, 45, high, low >> 8, low};
  memcpy(message + at, record, sizeof record);
  return at + sizeof record;
}

static int bound(const char* address, int port, int kind) {
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, address, &local.sin_addr);
  int one = 1, opened = socket(AF_INET, kind, 0);
  setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(opened, (struct sockaddr*)&local, sizeof local) != 0 || (kind == SOCK_STREAM && listen(opened, 4096) != 0)) {
    perror("fresh_server");
    exit(1);
  }
  return opened;
}

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  struct pollfd wait[2] = {{bound(argv[1], 53, SOCK_DGRAM), POLLIN, 0},
                           {bound("0.0.0.0", PORT, SOCK_STREAM), POLLIN, 0}};
  for (;;) {
    poll(wait, 2, -1);
    if (wait[0].revents & POLLIN) {
      uint8_t message[1024];
      struct sockaddr_storage peer;
      socklen_t size = sizeof peer;
      ssize_t length = recvfrom(wait[0].fd, message, sizeof message, 0, (struct sockaddr*)&peer, &size);
      size_t answer = length > 0 ? answer_in_place(message, length, sizeof message, atoi(argv[2])) : 0;
      if (answer) sendto(wait[0].fd, message, answer, 0, (struct sockaddr*)&peer, size);
    }
    if (wait[1].revents & POLLIN) close(accept(wait[1].fd, NULL, NULL));
  }
}
