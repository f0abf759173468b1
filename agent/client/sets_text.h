// What `namewall sets` prints. Pure; strings that others chose come out escaped.
#pragma once

#include <string>
#include <vector>

#include "agent/client/screen.h"
#include "agent/client/set_join.h"
#include "agent/host/host_view.h"

namespace namewall::agent {

// What is told beside the rows.
struct SetsFacts {
  std::string no_daemon;             // why there is no model: a sentence; "" where there is one
  std::vector<std::string> changed;  // of the table, what somebody else changed, a sentence each
  std::vector<std::string> notes;    // what could not be read
};

std::string sets_text(const SetsView& view, const KernelSets& kernel, const SetsFacts& facts, const Screen& screen);
// One document; an element a line.
std::string sets_json(const SetsView& view, const KernelSets& kernel, const SetsFacts& facts);
std::string repair_text(const RepairView& repair, const Screen& screen);
std::string repair_json(const RepairView& repair);

// Whether the kernel holds something else than the daemon's model.
bool has_drift(const SetsView& view, const SetsFacts& facts);

}  // namespace namewall::agent
