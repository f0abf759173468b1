#include "agent/check_diff.h"

#include <iostream>
#include <optional>
#include <utility>

#include "agent/backend_fit.h"
#include "agent/command.h"
#include "agent/policy_diff_text.h"
#include "agent/policy_sources.h"
#include "policy/group_file.h"
#include "policy/policy_image.h"

namespace namewall::agent {
namespace {

struct Side {
  Policy policy;
  PolicyImage image;
};

// A group as a policy that allows what it lists.
Loaded<Policy> load_group(const std::string& text, const std::string& path, const LoadContext& context) {
  Loaded<GroupText> group = load_group_file(text, format_of(path, text), display_name(path));
  Loaded<Policy> loaded{{}, std::move(group.diagnostics)};
  if (!loaded.ok()) return loaded;
  std::vector<Group> groups = resolve_groups({group.value}, context.groups, loaded.diagnostics);
  loaded.value.name = group.value.name;
  loaded.value.origin = group.value.origin;
  loaded.value.allow = std::move(groups.front().rules);
  return loaded;
}

// An error is printed; the exit code.
tl::expected<Side, int> load_side(const std::string& path, const HostPolicy& host, const ResolvConf& system,
                                  const LoadContext& context) {
  const Result<std::string> text = read_input(path);
  if (!text) {
    std::cerr << "namewall: " << text.error().message() << "\n";
    return tl::unexpected(kExitOwnFailure);
  }
  const Format format = format_of(path, *text);
  Loaded<Policy> loaded = is_group_file(*text, format) ? load_group(*text, path, context)
                                                       : load_policy(*text, format, display_name(path), {}, context);
  for (const Diagnostic& diagnostic : loaded.diagnostics) std::cerr << diagnostic.to_string() << "\n";
  if (!loaded.ok()) return tl::unexpected(kExitInputErrors);
  Result<PolicyImage> image = compile_policy(loaded.value, host, system);
  if (image) {
    if (const auto fits = fit_to_backend(*image); !fits) image = tl::unexpected(fits.error());
  }
  if (image) return Side{std::move(loaded.value), *std::move(image)};
  std::cerr << display_name(path) << ": error: " << image.error().message() << "\n";
  return tl::unexpected(kExitInputErrors);
}

}  // namespace

int run_check_diff(const DiffFiles& files, const HostPolicy& host, const ResolvConf& system, const LoadContext& context,
                   bool as_json) {
  const auto older = load_side(files.older, host, system, context);
  if (!older) return older.error();
  const auto newer = load_side(files.newer, host, system, context);
  if (!newer) return newer.error();
  const PolicyDiff diff = diff_policies(older->policy, older->image, newer->policy, newer->image);
  std::cout << (as_json ? to_json(diff) : to_text(diff));
  return diff.widens() ? kExitWidens : kExitOk;
}

}  // namespace namewall::agent
