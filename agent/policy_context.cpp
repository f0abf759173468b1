#include "agent/policy_context.h"

#include <utility>

#include "agent/group_folder.h"

namespace namewall::agent {

PolicyContext PolicyContext::read(const HostPolicy& host) {
  PolicyContext context = read_shipped(group_folder_of_command());
  context.groups_.insert(context.groups_.begin(), host.groups.begin(), host.groups.end());
  return context;
}

PolicyContext PolicyContext::read_shipped(const std::string& group_folder) {
  PolicyContext context;
  GroupFolder folder = read_group_folder(group_folder);
  context.groups_ = std::move(folder.groups);
  context.errors_ = std::move(folder.errors);
  return context;
}

}  // namespace namewall::agent
