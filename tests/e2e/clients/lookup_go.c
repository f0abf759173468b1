/* A lookup with the manners of Go's own resolver (package net without cgo), written from its documented and observed
 * behaviour: golang is not among the packages that tests may install, so this stands in for it.
 *   - A and AAAA at the same time, each over a connected UDP socket of its own, EDNS with 1,232 bytes; TCP after TC
 *   - every server in turn, all of them `attempts` times; `timeout` for each; a failed dial or read goes to the next
 *   - NXDOMAIN, and NOERROR without the record, end a name; any other RCODE, and an empty answer that is neither
 *     authoritative nor recursive, go to the next server
 *   - the absolute name first if it has `ndots` dots, else last; the first form with an address wins */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lookup.h"

enum {
  kMaxServers = 3,
  kMaxSuffixes = 6,
  kMaxName = 256,
  kAnswerSize = 65535,
  kEdnsSize = 1232,
  kTypeA = 1,
  kTypeAaaa = 28
};
enum outcome { kFound, kNoSuchHost, kTryNext };

struct config {
  char servers[kMaxServers][ADDRESS_TEXT];
  char suffixes[kMaxSuffixes][kMaxName];
  int server_count, suffix_count, ndots, timeout_ms, attempts, use_tcp;
};

struct query {
  const struct config* config;
  const char* name; /* absolute */
  int type;
  enum outcome outcome;
  char error[32];
  int count;
  char addresses[MAX_ADDRESSES][ADDRESS_TEXT];
};

static void read_config(struct config* config) {
  *config = (struct config){.ndots = 1, .timeout_ms = 5000, .attempts = 2};
  FILE* file = fopen("/etc/resolv.conf", "r");
  char line[1024];
  while (file && fgets(line, sizeof line, file)) {
    char* rest = NULL;
    char* key = strtok_r(line, " \t\n", &rest);
    if (!key) continue;
    int is_search = !strcmp(key, "search") || !strcmp(key, "domain");
    if (is_search) config->suffix_count = 0;
    for (char* word; (word = strtok_r(NULL, " \t\n", &rest));) {
      if (!strcmp(key, "nameserver") && config->server_count < kMaxServers)
        snprintf(config->servers[config->server_count++], ADDRESS_TEXT, "%s", word);
      if (is_search && config->suffix_count < kMaxSuffixes)
        snprintf(config->suffixes[config->suffix_count++], kMaxName, "%s", word);
      if (strcmp(key, "options")) continue;
      sscanf(word, "ndots:%d", &config->ndots);
      sscanf(word, "attempts:%d", &config->attempts);
      if (sscanf(word, "timeout:%d", &config->timeout_ms) == 1) config->timeout_ms *= 1000;
      if (!strcmp(word, "use-vc")) config->use_tcp = 1;
    }
  }
  if (file) fclose(file);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t write_question(const struct query* query, uint8_t* message) {
  size_t at = 12;
  getrandom(message, 2, 0);
  /* RD and AD, one question, one additional record */
  static const uint8_t rest[10] = {1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1};
  memcpy(message + 2, rest, sizeof rest);
  for (const char* label = query->name; *label;) {
    size_t length = strcspn(label, ".");
    if (length == 0 || length > 63 || at + length + 32 > 512) return 0;
    message[at++] = (uint8_t)length;
    memcpy(message + at, label, length);
    at += length;
    label += length + (label[length] == '.');
  }
  const uint8_t tail[] = {0, 0, (uint8_t)query->type, 0, 1, 0, 0, 41, kEdnsSize >> 8, kEdnsSize & 255, 0, 0, 0, 0,
                          0, 0};
  memcpy(message + at, tail, sizeof tail);
  return at + sizeof tail;
}

static int open_to(const char* server, int type, int64_t deadline) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(53)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
  int is_v6 = strchr(server, ':') != NULL;
  if (inet_pton(is_v6 ? AF_INET6 : AF_INET, server, is_v6 ? (void*)&v6.sin6_addr : (void*)&v4.sin_addr) != 1) return -1;
  int opened = socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (opened < 0) return -1;
  if (connect(opened, is_v6 ? (void*)&v6 : (void*)&v4, is_v6 ? sizeof v6 : sizeof v4) == 0) return opened;
  int error = errno;
  socklen_t size = sizeof error;
  struct pollfd wait = {.fd = opened, .events = POLLOUT};
  if (error == EINPROGRESS && poll(&wait, 1, (int)(deadline - now_ms())) == 1 &&
      getsockopt(opened, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
    return opened;
  close(opened);
  errno = error;
  return -1;
}

/* More bytes of the answer; <= 0: none came in time, or an error. */
static ssize_t read_some(int from, uint8_t* to, size_t room, int64_t deadline) {
  struct pollfd wait = {.fd = from, .events = POLLIN};
  int64_t left = deadline - now_ms();
  if (left <= 0 || poll(&wait, 1, (int)left) != 1) {
    errno = ETIMEDOUT;
    return -1;
  }
  return recv(from, to, room, 0);
}

static int matches(const uint8_t* question, size_t question_length, const uint8_t* answer, ssize_t length) {
  size_t asked = question_length - 11 - 12; /* without header and OPT */
  return length >= (ssize_t)(12 + asked) && !memcmp(question, answer, 2) && (answer[2] & 0x80) &&
         !memcmp(question + 12, answer + 12, asked);
}

/* The answer's length, or -1 with an errno. */
static ssize_t exchange(const struct query* query, const char* server, int type, uint8_t* answer) {
  uint8_t message[2 + 512];
  size_t length = write_question(query, message + 2);
  if (length == 0) return -1;
  message[0] = (uint8_t)(length >> 8);
  message[1] = (uint8_t)length;
  int64_t deadline = now_ms() + query->config->timeout_ms;
  int opened = open_to(server, type, deadline);
  if (opened < 0) return -1;
  int is_stream = type == SOCK_STREAM;
  ssize_t got = send(opened, message + (is_stream ? 0 : 2), length + (is_stream ? 2 : 0), MSG_NOSIGNAL);
  if (got >= 0 && is_stream) {
    ssize_t have = 0, want = 2;
    while (have < want && (got = read_some(opened, answer + have, (size_t)(want - have), deadline)) > 0) {
      have += got;
      if (have == 2 && want == 2) {
        want = 2 + (answer[0] << 8 | answer[1]);
      }
    }
    got = have == want ? want - 2 : -1;
    if (got >= 0) memmove(answer, answer + 2, (size_t)got);
    if (got >= 0 && !matches(message + 2, length, answer, got)) got = -1;
  } else if (got >= 0) {
    do got = read_some(opened, answer, kEdnsSize, deadline);
    while (got >= 0 && !matches(message + 2, length, answer, got));
  }
  int error = errno;
  close(opened);
  errno = error;
  return got;
}

static size_t skip_name(const uint8_t* message, size_t at, size_t length) {
  while (at < length && message[at]) {
    if (message[at] >= 0xc0) return at + 2;
    at += 1u + message[at];
  }
  return at + 1;
}

static enum outcome read_answer(struct query* query, const uint8_t* answer, size_t length) {
  int rcode = answer[3] & 15, count = answer[6] << 8 | answer[7];
  if (rcode == 3) return kNoSuchHost;
  int is_lame = count == 0 && !(answer[2] & 4) && !(answer[3] & 0x80) && !(answer[10] || answer[11]);
  if (rcode != 0 || is_lame) {
    snprintf(query->error, sizeof query->error, "server misbehaving %d", rcode);
    return kTryNext;
  }
  size_t at = skip_name(answer, 12, length) + 4;
  for (int i = 0; i < count && at + 10 < length; i++) {
    at = skip_name(answer, at, length);
    if (at + 10 > length) break;
    int type = answer[at] << 8 | answer[at + 1];
    size_t size = (size_t)(answer[at + 8] << 8 | answer[at + 9]);
    at += 10;
    if (at + size > length) break;
    if (type == query->type && query->count < MAX_ADDRESSES)
      inet_ntop(type == kTypeA ? AF_INET : AF_INET6, answer + at, query->addresses[query->count++], ADDRESS_TEXT);
    at += size;
  }
  return query->count ? kFound : kNoSuchHost;
}

static void* try_name(void* argument) {
  struct query* query = argument;
  const struct config* config = query->config;
  uint8_t* answer = malloc(kAnswerSize + 2);
  for (int attempt = 0; answer && attempt < config->attempts; attempt++) {
    for (int i = 0; i < config->server_count; i++) {
      int type = config->use_tcp ? SOCK_STREAM : SOCK_DGRAM;
      ssize_t length = exchange(query, config->servers[i], type, answer);
      if (length >= 12 && type == SOCK_DGRAM && (answer[2] & 2))
        length = exchange(query, config->servers[i], SOCK_STREAM, answer);
      if (length < 12) {
        snprintf(query->error, sizeof query->error, "%s", errno == ETIMEDOUT ? "i/o timeout" : strerror(errno));
        continue;
      }
      query->outcome = read_answer(query, answer, (size_t)length);
      if (query->outcome != kTryNext) {
        free(answer);
        return NULL;
      }
    }
  }
  free(answer);
  return NULL;
}

static void look_up_form(const struct config* config, const char* name, struct lookup_result* result) {
  struct query queries[2] = {{.config = config, .name = name, .type = kTypeA, .outcome = kTryNext},
                             {.config = config, .name = name, .type = kTypeAaaa, .outcome = kTryNext}};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    if (pthread_create(&threads[i], NULL, try_name, &queries[i]) != 0) abort();
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    for (int k = 0; k < queries[i].count && result->count < MAX_ADDRESSES; k++)
      memcpy(result->addresses[result->count++], queries[i].addresses[k], ADDRESS_TEXT);
    const char* error = queries[i].outcome == kNoSuchHost ? "no such host" : queries[i].error;
    if (queries[i].outcome != kFound) snprintf(result->error, sizeof result->error, "%s", error);
  }
  if (result->count) result->error[0] = 0;
}

void lookup(const char* name, struct lookup_result* result) {
  struct config config;
  read_config(&config);
  int dots = 0;
  for (const char* at = name; *at; at++) dots += *at == '.';
  int is_absolute = *name && name[strlen(name) - 1] == '.', is_first = is_absolute || dots >= config.ndots;
  if (is_first) look_up_form(&config, name, result);
  for (int i = 0; !is_absolute && i < config.suffix_count && !result->count; i++) {
    char form[2 * kMaxName];
    snprintf(form, sizeof form, "%s.%s", name, config.suffixes[i]);
    look_up_form(&config, form, result);
  }
  if (!is_first && !result->count) look_up_form(&config, name, result);
}
