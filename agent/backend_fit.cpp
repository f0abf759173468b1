#include "agent/backend_fit.h"

#include <algorithm>

#include "bpf/kernel_probe.h"
#include "nft/workload_elements.h"
#include "policy/learning.h"

namespace namewall::agent {

Result<void> fit_to_backend(PolicyImage& image, std::optional<bool> kernel_can_learn) {
  if (image.backend == Backend::kNft) {
    if (const auto fits = nft::build_image_elements(image); !fits) return tl::unexpected(fits.error());
    return {};
  }
  return choose_learning(image, kernel_can_learn ? *kernel_can_learn : bpf::probe_abilities().has_loop);
}

std::vector<std::string> limits_of_backend(const Policy& policy, const PolicyImage& image) {
  if (image.backend != Backend::kNft) return {};
  std::vector<std::string> out = {
      "a refused connection begins and is reset (ECONNREFUSED); a refused datagram fails when it is sent (EPERM)",
      "raw sockets can be made and every port can be bound: it is their packets that are refused",
      "in a network namespace of its own a process is not held before namewalld has found it there",
  };
  const auto is_glob = [](const std::string& text) { return text.find('*') != std::string::npos; };
  if (std::any_of(policy.cgroups.begin(), policy.cgroups.end(), is_glob)) {
    out.push_back("cgroups that appear below a template are refused everything until namewalld has armed them");
  }
  if (policy.unarmed_children == UnarmedChildren::kRefuse) {
    out.push_back("cgroups that wait to be armed have sockets, and no connections");
  }
  if (policy.loopback == Loopback::kOwn) {
    out.push_back("`loopback = \"own\"` is decided where a packet arrives, by the sender's mark");
  }
  if (policy.mode == Mode::kAudit) out.push_back("reports name no process: NFLOG tells the user only");
  return out;
}

}  // namespace namewall::agent
