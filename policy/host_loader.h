// Reads host.toml, the operator's own file: as policy_loader.h.
#pragma once

#include <span>
#include <string_view>

#include "policy/host_settings.h"
#include "policy/policy_loader.h"

namespace namewall {

// `context`: the shipped groups and the services that it may name.
Loaded<HostFile> load_host_file(std::string_view text, Format format, std::string_view file_name,
                                const LoadContext& context = {});
// Its policy alone, everything checked all the same.
Loaded<HostPolicy> load_host_policy(std::string_view text, Format format, std::string_view file_name,
                                    const LoadContext& context = {});

}  // namespace namewall
