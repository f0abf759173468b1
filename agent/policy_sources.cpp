#include "agent/policy_sources.h"

#include "agent/group_folder.h"
#include "agent/policy_context.h"
#include "agent/text_file.h"

namespace namewall::agent {

std::string display_name(const std::string& path) { return path == "-" ? "standard input" : path; }

Result<std::string> read_input(const std::string& path) { return read_text_file(path == "-" ? "/dev/stdin" : path); }

Result<Loaded<Policy>> load_policy_file(const std::string& path, const LoadContext& context) {
  const Result<std::string> text = read_input(path);
  if (!text) return tl::unexpected(text.error());
  return load_policy(*text, format_of(path, *text), display_name(path), {}, context);
}

Result<Loaded<HostPolicy>> load_host_policy_file(const std::string& path) {
  const std::string file = path.empty() ? kHostPolicyPath : path;
  const Result<std::string> text = read_input(file);
  if (!text && path.empty() && text.error().kind == ErrorKind::kNotFound) return Loaded<HostPolicy>();
  if (!text) return tl::unexpected(text.error());
  const GroupFolder shipped = read_group_folder(group_folder_of_command());
  const std::vector<Service> services = read_services();
  return load_host_policy(*text, format_of(file, *text), display_name(file), {shipped.groups, services, {}});
}

Result<ResolvConf> read_system_resolv_conf() {
  const Result<std::string> text = read_text_file(kResolvConfPath);
  if (!text && text.error().kind != ErrorKind::kNotFound) return tl::unexpected(text.error());
  return parse_resolv_conf(text ? *text : std::string());
}

}  // namespace namewall::agent
