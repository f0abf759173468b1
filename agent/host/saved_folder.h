// The policy files as a SavedState remembers them, so that one that is broken at the next start, or gone, keeps what it
// said. Pure: values to values.
#pragma once

#include <string>
#include <vector>

#include "agent/host/folder_snapshot.h"
#include "agent/host/lifted_places.h"
#include "agent/host/saved_state.h"
#include "policy/boot_time.h"
#include "policy/load_context.h"
#include "policy/resolv_conf.h"

namespace namewall::agent {

SavedFolder saved_form_of(const FolderSnapshot& folder, const LiftedPlaces& lifted);

// What the first next_snapshot() takes as the one before: every file counts as one that has yet to be read. What cannot
// be used any more is left out and told of in `sentences`.
// `shipped`: what host.toml may refer to.
FolderSnapshot restore_folder(const SavedFolder& saved, const ResolvConf& system, BootTime now,
                              std::vector<std::string>& sentences, const LoadContext& shipped = {});

LiftedPlaces restore_lifted(const SavedFolder& saved);

}  // namespace namewall::agent
