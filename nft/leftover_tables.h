// Tables of processes that ended without deleting them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/result.h"

namespace namewall::nft {

// Of this thread's network namespace: deletes the tables whose name begins with `prefix` and whose every enforced
// cgroup is gone (none enforced: too). One that a live process owns stays. The names of those deleted.
Result<std::vector<std::string>> remove_leftover_tables(
    std::string_view prefix, const std::function<bool(std::uint64_t cgroup_id, const std::string& path)>& is_gone);

}  // namespace namewall::nft
