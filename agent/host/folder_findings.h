// What check_overlap() finds among the policies that are in force and the host's. Never keeps one of them out. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/host/folder_snapshot.h"

namespace namewall::agent {

inline constexpr std::size_t kMaxWarningsShown = 200;  // of a reload or status

// Fills `findings` of each file, from `older` where nothing in force is other than it was.
void find_conflicts(FolderSnapshot& folder, const FolderSnapshot& older,
                    const std::function<bool(std::string_view)>& is_public_suffix);

// Of every file: its warnings and findings, and host.toml's, at most `most` and a last line that counts the others.
std::vector<std::string> collect_warnings(const FolderSnapshot& folder, std::size_t most);

// Whether the same versions are in force in both.
bool holds_the_same(const FolderSnapshot& a, const FolderSnapshot& b);

}  // namespace namewall::agent
