#include "agent/policy_context.h"

#include "agent/text_file.h"
#include "policy/service_list.h"

namespace namewall::agent {

std::vector<Service> read_services(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  return text ? parse_service_list(*text) : std::vector<Service>();
}

Result<std::string> read_manifest_of_caller(const std::string& path) { return read_text_file(path); }

PolicyContext PolicyContext::read(const HostPolicy& host) {
  PolicyContext context;
  context.groups_ = host.groups;
  context.services_ = read_services();
  context.read_manifest_ = read_manifest_of_caller;
  return context;
}

}  // namespace namewall::agent
