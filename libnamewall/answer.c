#include "libnamewall/answer.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char* namewall_request_body(const struct namewall_request* request, pid_t child) {
  json_t* allow = json_array();
  for (size_t i = 0; i < request->allow_count; ++i) {
    if (json_array_append_new(allow, json_string(request->allow[i])) != 0) {  // NULL: no UTF-8
      json_decref(allow);
      return NULL;
    }
  }
  json_t* body = json_object();
  const int is_cooperative = (request->flags & NAMEWALL_COOPERATIVE) != 0;
  int failed = json_object_set_new(body, "allow", allow);
  failed |= json_object_set_new(body, "cooperative", json_boolean(is_cooperative));
  if (child > 0) failed |= json_object_set_new(body, "child", json_integer(child));
  if (request->label != NULL) failed |= json_object_set_new(body, "label", json_string(request->label));
  char* text = failed ? NULL : json_dumps(body, JSON_COMPACT);
  json_decref(body);
  if (text != NULL && strlen(text) > NAMEWALL_MAX_BODY) {
    free(text);
    return NULL;
  }
  return text;
}

/* Adds to what the field holds. */
static void add_text(struct namewall_outcome* outcome, char* field, size_t room, const char* text, int keeps_lines) {
  size_t size = strlen(field);
  for (; *text != '\0' && size + 1 < room; ++text) {
    const unsigned char byte = (unsigned char)*text;
    const int is_control = (byte < 0x20 && !(keeps_lines && byte == '\n')) || byte == 0x7f;
    field[size++] = is_control ? '?' : *text;
  }
  if (*text != '\0') {
    outcome->flags |= NAMEWALL_TRUNCATED;
    /* Back over the bytes of a character that is not whole (RFC 3629). */
    if (((unsigned char)*text & 0xc0) == 0x80) {
      while (size > 0 && ((unsigned char)field[size - 1] & 0xc0) == 0x80) --size;
      if (size > 0) --size;
    }
  }
  field[size] = '\0';
}

void namewall_set_text(struct namewall_outcome* outcome, char* field, size_t room, const char* text) {
  field[0] = '\0';
  add_text(outcome, field, room, text, 0);
}

static const char* text_of(const json_t* object, const char* key) {
  const char* text = json_string_value(json_object_get(object, key));
  return text == NULL ? "" : text;
}

/* The strings of a list, a line each; how many. -1: it is no list of strings. */
static long add_lines(struct namewall_outcome* outcome, char* field, size_t room, const json_t* list) {
  if (list == NULL) return 0;
  if (!json_is_array(list)) return -1;
  field[0] = '\0';
  for (size_t i = 0; i < json_array_size(list); ++i) {
    const char* text = json_string_value(json_array_get(list, i));
    if (text == NULL) return -1;
    if (i > 0) add_text(outcome, field, room, "\n", 1);
    add_text(outcome, field, room, text, 0);
  }
  return (long)json_array_size(list);
}

struct word {
  const char* code;
  int result;
};

static const struct word kWords[] = {
    {"delegated", NAMEWALL_DELEGATED},
    {"threaded", NAMEWALL_THREADED},
    {"frozen", NAMEWALL_FROZEN},
    {"limit", NAMEWALL_LIMIT},
    {"no_process", NAMEWALL_NO_PROCESS},
    {"not_a_child", NAMEWALL_NO_PROCESS},
    {"unsupported", NAMEWALL_UNSUPPORTED},
    {"unknown_path", NAMEWALL_UNSUPPORTED},
    {"wrong_method", NAMEWALL_UNSUPPORTED},
};

static int result_of(const char* code, int status) {
  for (size_t i = 0; i < sizeof kWords / sizeof kWords[0]; ++i) {
    if (strcmp(code, kWords[i].code) == 0) return kWords[i].result;
  }
  switch (status) {
    case 400:
    case 422:
      return NAMEWALL_BAD_REQUEST;
    case 401:
    case 403:
      return NAMEWALL_NOT_PERMITTED;
    case 404:
    case 410:
      return NAMEWALL_NO_PROCESS;
    case 408:
      return NAMEWALL_TIMEOUT;
    case 413:
    case 429:
    case 503:
    case 507:
      return NAMEWALL_LIMIT;
    case 501:
      return NAMEWALL_UNSUPPORTED;
    default:
      return NAMEWALL_REFUSED;
  }
}

static int read_refusal(const json_t* json, int status, struct namewall_outcome* outcome) {
  const json_t* error = json_object_get(json, "error");
  const char* code = text_of(error, "code");
  namewall_set_text(outcome, outcome->code, sizeof outcome->code, code);
  namewall_set_text(outcome, outcome->sentence, sizeof outcome->sentence, text_of(error, "sentence"));
  if (outcome->sentence[0] == '\0') {
    snprintf(outcome->sentence, sizeof outcome->sentence, "the daemon answers %d without a reason", status);
  }
  return result_of(code, status);
}

/* A success that does not say which workload it made is none. */
static int read_success(const json_t* json, struct namewall_outcome* outcome) {
  const char* workload = text_of(json, "workload");
  const json_t* cgroup_id = json_object_get(json, "cgroup_id");
  const json_t* depth = json_object_get(json, "depth");
  if (workload[0] == '\0' || !json_is_integer(cgroup_id) || json_integer_value(cgroup_id) <= 0) {
    return NAMEWALL_BAD_ANSWER;
  }
  namewall_set_text(outcome, outcome->workload, sizeof outcome->workload, workload);
  namewall_set_text(outcome, outcome->state, sizeof outcome->state, text_of(json, "state"));
  outcome->cgroup_id = (uint64_t)json_integer_value(cgroup_id);
  const json_int_t levels = json_integer_value(depth);
  outcome->depth = levels > 0 && levels <= INT_MAX ? (uint32_t)levels : 0;
  const long without_effect = add_lines(outcome, outcome->without_effect, sizeof outcome->without_effect,
                                        json_object_get(json, "without_effect"));
  if (without_effect < 0 || add_lines(outcome, outcome->why, sizeof outcome->why, json_object_get(json, "why")) < 0) {
    return NAMEWALL_BAD_ANSWER;
  }
  outcome->without_effect_count = (uint32_t)without_effect;
  if (json_is_true(json_object_get(json, "cooperative"))) outcome->flags |= NAMEWALL_IS_COOPERATIVE;
  return NAMEWALL_OK;
}

int namewall_read_answer(const struct namewall_answer* answer, struct namewall_outcome* outcome) {
  const int is_success = answer->status >= 200 && answer->status < 300;
  json_t* json = json_loadb(answer->body, answer->body_size, JSON_REJECT_DUPLICATES, NULL);
  const int result = is_success ? read_success(json, outcome) : read_refusal(json, answer->status, outcome);
  json_decref(json);
  return result;
}
