#include "agent/policy_context.h"

#include <utility>

#include "agent/group_folder.h"
#include "agent/host/policy_folder.h"
#include "agent/host/trusted_file.h"
#include "agent/text_file.h"
#include "policy/service_list.h"

namespace namewall::agent {

std::vector<Service> read_services(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  return text ? parse_service_list(*text) : std::vector<Service>();
}

Result<std::string> read_manifest_of_caller(const std::string& path) { return read_text_file(path); }

PolicyContext PolicyContext::read(const HostPolicy& host) {
  PolicyContext context = read_shipped(group_folder_of_command());
  context.groups_.insert(context.groups_.begin(), host.groups.begin(), host.groups.end());
  context.read_manifest_ = read_manifest_of_caller;
  return context;
}

PolicyContext PolicyContext::read_shipped(const std::string& group_folder) {
  PolicyContext context;
  GroupFolder folder = read_group_folder(group_folder);
  context.groups_ = std::move(folder.groups);
  context.errors_ = std::move(folder.errors);
  context.services_ = read_services();
  context.read_manifest_ = [](const std::string& path) { return read_trusted_path(path, kMaxPolicyFile); };
  return context;
}

}  // namespace namewall::agent
