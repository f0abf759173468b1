#include "agent/keep_options.h"

#include <algorithm>
#include <vector>

#include "policy/escape.h"

namespace namewall::agent {
namespace {

struct Word {
  std::string_view text;
  std::vector<Keep> what;
};

const std::vector<Word>& all_words() {
  static const std::vector<Word> words = {
      {"privs", {Keep::kPrivileges}},
      {"caps", {Keep::kCapabilities}},
      {"families", {Keep::kFamilies}},
      {"io_uring", {Keep::kIoUring}},
      {"bpf", {Keep::kBpf}},
      {"abis", {Keep::kForeignAbis}},
      {"tty", {Keep::kTerminal}},
      {"cgroupfs", {Keep::kCgroupfs}},
      {"bpffs", {Keep::kBpffs}},
      {"fds", {Keep::kDescriptors}},
      {"nscd", {Keep::kNscd}},
      {"resolved", {Keep::kResolved}},
      {"avahi", {Keep::kAvahi}},
      {"sssd", {Keep::kSssd}},
      {"docker", {Keep::kDocker}},
      {"podman", {Keep::kPodman}},
      {"containerd", {Keep::kContainerd}},
      {"dbus", {Keep::kSystemBus}},
      {"seccomp", {Keep::kFamilies, Keep::kIoUring, Keep::kBpf, Keep::kForeignAbis, Keep::kTerminal}},
      {"sockets",
       {Keep::kNscd, Keep::kResolved, Keep::kAvahi, Keep::kSssd, Keep::kDocker, Keep::kPodman, Keep::kContainerd,
        Keep::kSystemBus}},
      {"mounts",
       {Keep::kCgroupfs, Keep::kBpffs, Keep::kNscd, Keep::kResolved, Keep::kAvahi, Keep::kSssd, Keep::kDocker,
        Keep::kPodman, Keep::kContainerd, Keep::kSystemBus}},
  };
  return words;
}

}  // namespace

Result<void> KeepSet::add_words(std::string_view words) {
  KeepSet added = *this;
  for (;;) {
    const std::size_t comma = words.find(',');
    const std::string_view word = words.substr(0, comma);
    const auto found = std::ranges::find(all_words(), word, &Word::text);
    if (found == all_words().end()) {
      return fail(ErrorKind::kInvalid,
                  "--keep does not know `" + escape_for_display(word) + "`; it accepts " + list_keep_words());
    }
    for (const Keep what : found->what) added.add(what);
    if (comma == std::string_view::npos) break;
    words.remove_prefix(comma + 1);
  }
  *this = added;
  return {};
}

std::string list_keep_words() {
  std::string list;
  for (const Word& word : all_words()) {
    if (!list.empty()) list += ", ";
    list += word.text;
  }
  return list;
}

}  // namespace namewall::agent
