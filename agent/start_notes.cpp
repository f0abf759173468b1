#include "agent/start_notes.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

// Programs that do nothing but act with other rights.
bool is_for_gaining_rights(std::string_view program) {
  constexpr std::array<std::string_view, 4> kPrograms = {"sudo", "su", "doas", "pkexec"};
  const std::string_view name = program.substr(program.rfind('/') + 1);
  return std::ranges::find(kPrograms, name) != kPrograms.end();
}

}  // namespace

std::vector<std::string> build_start_notes(const StartFacts& facts) {
  std::vector<std::string> notes;
  const bool gains_rights = facts.keep.has(Keep::kPrivileges) && facts.keep.has(Keep::kCapabilities);
  if (is_for_gaining_rights(facts.program) && !gains_rights && !facts.as_root) {
    notes.push_back(escape_for_display(facts.program) +
                    " gains no rights in here; --keep privs,caps lets it, and root is a way out");
  }
  if (facts.as_root) {
    notes.push_back(
        "the command runs as root, and root in there is a way out: it owns the host's files; --user U avoids it");
  }
  if (!facts.answers_refusals) {
    notes.push_back("raw sockets are refused here: musl and dig wait for their timeout on a refused lookup");
  }
  if (!facts.proxy_variable.empty()) {
    notes.push_back(facts.proxy_variable + " is set: names that the command reaches through a proxy are not seen");
  }
  if (facts.closed_descriptors != 0) {
    notes.push_back(std::to_string(facts.closed_descriptors) +
                    " inherited sockets, directories or kernel objects were not passed on; --keep fds passes them");
  }
  return notes;
}

}  // namespace namewall::agent
