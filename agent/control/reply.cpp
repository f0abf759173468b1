#include "agent/control/reply.h"

#include <nlohmann/json.hpp>

#include "agent/command.h"
#include "agent/control/json_text.h"

namespace namewall::agent {
namespace {

std::string_view phrase_of(unsigned status) {
  switch (status) {
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    default:
      return "Service Unavailable";
  }
}

}  // namespace

ErrorForm error_form(ErrorKind kind) {
  const int exit_code = exit_code_of(kind);
  switch (kind) {
    case ErrorKind::kInvalid:
      return {400, "invalid", exit_code};
    case ErrorKind::kNotFound:
      return {404, "not_found", exit_code};
    case ErrorKind::kUnsupported:
      return {501, "unsupported", exit_code};
    case ErrorKind::kPermission:
      return {403, "not_permitted", exit_code};
    case ErrorKind::kConflict:
      return {409, "conflict", exit_code};
    case ErrorKind::kLimit:
      return {429, "limit", exit_code};
    case ErrorKind::kSystem:
      return {500, "system", exit_code};
  }
  return {500, "system", exit_code};
}

Reply error_reply(const ErrorForm& form, std::string_view sentence) {
  Reply reply;
  reply.status = form.status;
  reply.body = json_text({{"error", {{"code", form.code}, {"sentence", sentence}, {"exit_code", form.exit_code}}}});
  reply.body += '\n';
  return reply;
}

Reply error_reply(const Error& error) { return error_reply(error_form(error.kind), error.message()); }

std::string closing_response(const ErrorForm& form, std::string_view sentence) {
  const std::string body = error_reply(form, sentence).body;
  return "HTTP/1.1 " + std::to_string(form.status) + " " + std::string(phrase_of(form.status)) +
         "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace namewall::agent
